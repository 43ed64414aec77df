-- On one server, a login or a rotation in one step: the old id is dead, the new one has what it had.
--
-- KEYS: the old session, the new one, its user's index
-- ARGV: the new id, user, 'login' or 'rotate', the successor known to be gone or '', ms to remember it, the old id,
--       idle time in ms, highest age in ms, ms that clocks may differ, most sessions of a user
local new, user, mode, gone, remember, id = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local idle, age, skew, most = tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9], tonumber(ARGV[10])
local old = stored(KEYS[1])
local verdict = may_move(old, new, user, mode, gone)
if verdict then
  return verdict
end
local now, live = clock(), is_live(old)
local created, ends = now, now + age
if mode == 'rotate' then
  created, ends = whole(old.created_ms, HIGHEST), whole(old.ends_ms, HIGHEST)
  if not created or not ends then
    return {'MALFORMED', KEYS[1], 'ends_ms'}
  end
end
local indexed_before = live and redis.call('ZSCORE', KEYS[3], id)
-- Not in the index although alive: 'log out everywhere' has it, and is about to end it.
if mode == 'rotate' and not indexed_before then
  return {'NONE'}
end
if not indexed_before and count_alive(KEYS[3], now) >= most then
  return {'FULL'}
end

local indexed = math.min(now + 2 * idle, ends)
redis.call('ZREM', KEYS[3], id)
keep(KEYS[3], new, indexed + skew, now)
if live then
  drop_marks(KEYS[1], old)
  redis.call('RENAME', KEYS[1], KEYS[2])
end
redis.call('HSET', KEYS[2], 'user', user, 'created_ms', integer(created), 'ends_ms', integer(ends),
  'indexed_until_ms', integer(indexed))
redis.call('PEXPIREAT', KEYS[2], integer(math.min(now + idle, ends)))
redis.call('HSET', KEYS[1], 'state', 'moved', 'moved_to', new, 'user', user)
redis.call('PEXPIRE', KEYS[1], remember)
return {'CLAIMED', live and (old.user and 'user' or 'guest') or 'nothing'}
