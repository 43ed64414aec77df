-- Begins a session, with its TTL and in its user's index, in one step.
--
-- KEYS: the session, its user's index (unless a guest's)
-- ARGV: id, user or '', idle time in ms, highest age in ms, ms that clocks may differ, most sessions of a user, then
--       fields and values
local id, user, idle, age, skew, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {'TAKEN'}
end
local now = clock()
local ends = now + age
local session = {'created_ms', integer(now), 'ends_ms', integer(ends)}
if user ~= '' then
  if count_alive(KEYS[2], now) >= most then
    return {'FULL'}
  end
  local indexed = math.min(now + 2 * idle, ends)
  keep(KEYS[2], id, indexed + skew, now)
  session = {'user', user, 'created_ms', integer(now), 'ends_ms', integer(ends), 'indexed_until_ms', integer(indexed)}
end
for i = 7, #ARGV do
  session[#session + 1] = ARGV[i]
end
redis.call('HSET', KEYS[1], unpack(session))
redis.call('PEXPIREAT', KEYS[1], integer(math.min(now + idle, ends)))
return {'BEGUN'}
