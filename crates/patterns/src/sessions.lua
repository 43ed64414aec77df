-- A session is a Hash of a visitor's fields. Fields that begin with a colon belong to the session itself:
--
--   :ends      ms since 1970 after which it is over, and for a user's session a space and its generation. A Hash without
--              this field is no session.
--   :until:x   ms since 1970 after which the field x is over
--   :begins    the Hash is not yet a session: a login prepares it, in this generation
--   :moved_to  the Hash is no longer a session: the token of the session that a login put in its place

---- begin_guest
-- Begins a guest's session and sets its TTL in the same step.
-- KEYS: session
-- ARGV: idle time (ms), maximum age (ms), then for each field: field, value
-- Replies: BEGUN; or TAKEN
if redis.call('HLEN', KEYS[1]) > 0 then
  return {'TAKEN'}
end
local ends = now_ms() + ARGV[2]
require_commands('HSET', 'PEXPIRE')
redis.call('HSET', KEYS[1], ':ends', string.format('%.0f', ends), unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {'BEGUN'}

---- begin_user
-- Begins a user's session. A key that exists is another session.
-- KEYS: session, generation, devices
-- ARGV: idle time (ms), maximum age (ms), generation if the user has none, session ID, max devices, then for each field: field,
--   value
-- Replies: BEGUN, session IDs over the limit (list); or TAKEN
if redis.call('HLEN', KEYS[1]) > 0 then
  return {'TAKEN'}
end
local generation = redis.call('GET', KEYS[2])

---- prepare
-- First step of a login: prepares a Hash that is not a session yet. If no step follows, it expires.
-- KEYS: new session, generation
-- ARGV: preparation TTL (ms), maximum age (ms), generation if the user has none
-- Replies: PREPARED; or TAKEN
if redis.call('HLEN', KEYS[1]) > 0 then
  return {'TAKEN'}
end
local generation = redis.call('GET', KEYS[2])
require_commands('HSET', 'PEXPIRE', 'SET')
redis.call('HSET', KEYS[1], ':begins', generation or ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
if generation then
  redis.call('PEXPIRE', KEYS[2], ARGV[2], 'GT')
else
  redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[2])
end
return {'PREPARED'}

---- fill
-- Last step of a login: what was prepared becomes a session. Any client may repeat this step. A session that was ended meanwhile
-- stays ended, because only the first step prepares one.
-- KEYS: session, generation, devices
-- ARGV: idle time (ms), maximum age (ms), generation if the user has none, session ID, max devices, then for each field: field,
--   value
-- Replies: BEGUN, session IDs over the limit (list); or NONE
local begins = redis.call('HGET', KEYS[1], ':begins')
local generation = redis.call('GET', KEYS[2])
if not begins or begins ~= generation then
  local exists = redis.call('HEXISTS', KEYS[1], ':ends') == 1
  return {exists and 'BEGUN' or 'NONE'}
end

---- enter
-- Writes the session, the user's generation, and the list of the user's devices.
local devices, oldest = redis.call('ZCARD', KEYS[3]), {}
if devices >= tonumber(ARGV[5]) then
  oldest = redis.call('ZRANGE', KEYS[3], 0, devices - ARGV[5])
end
local now = now_ms()
local ends = string.format('%.0f', now + ARGV[2])
require_commands('HSET', 'PEXPIRE', 'SET', 'ZADD', 'HDEL', 'ZREMRANGEBYSCORE', 'ZREM')
redis.call('HSET', KEYS[1], ':ends', ends .. ' ' .. (generation or ARGV[3]), unpack(ARGV, 6))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
if generation then
  -- The generation lives at least as long as this session can.
  redis.call('PEXPIRE', KEYS[2], ARGV[2], 'GT')
else
  redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[2])
end
redis.call('ZADD', KEYS[3], ends, ARGV[4])
redis.call('PEXPIRE', KEYS[3], ARGV[2])
redis.call('HDEL', KEYS[1], ':begins')
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('(%.0f', now))
if #oldest > 0 then
  redis.call('ZREM', KEYS[3], unpack(oldest))
end
return {'BEGUN', oldest}

---- alive
-- Decides whether the session is alive. A guest's session has one key only.
local own, now = redis.call('HGET', KEYS[1], ':ends'), now_ms()
local ends, generation
if own then
  ends, generation = string.match(own, '^(%d+) ?(%w*)$')
  if not ends then
    error({err = 'MALFORMED ' .. KEYS[1] .. ' :ends'})
  end
end
-- A user without a generation has no session that is alive.
local current = KEYS[2] and (redis.call('GET', KEYS[2]) or '-') or ''
local alive = own and now < tonumber(ends) and generation == current

---- carried
-- Splits the fields into those that move to a new ID and those that do not. A field with a deadline of its own does not move: it
-- says what the holder of the old ID has just proven.
local moved_to = redis.call('HGET', KEYS[1], ':moved_to')
local flat, early, carried, dropped = redis.call('HGETALL', KEYS[1]), {}, {}, {}
for i = 1, #flat, 2 do
  if string.sub(flat[i], 1, 7) == ':until:' then
    early[string.sub(flat[i], 8)] = true
  end
end
for i = 1, #flat, 2 do
  if (alive or moved_to) and string.sub(flat[i], 1, 1) ~= ':' and not early[flat[i]] then
    carried[#carried + 1], carried[#carried + 2] = flat[i], flat[i + 1]
  elseif flat[i] ~= ':moved_to' then
    dropped[#dropped + 1] = flat[i]
  end
end

---- claim
-- Second step of a login, which decides between several logins: the old ID is dead from here on, and remembers which token
-- replaced it.
-- KEYS: old session, and for a user: generation, devices
-- ARGV: new token, dead token to replace or '', TTL of the old key (ms), old ID
-- Replies: CLAIMED, fields and values (list); or MOVED, token, fields and values (list)
if moved_to and moved_to ~= ARGV[1] and moved_to ~= ARGV[2] then
  return {'MOVED', moved_to, carried}
elseif #flat > 0 and not own and not moved_to then
  return {'CLAIMED', {}}
end
if KEYS[3] then
  redis.call('ZCARD', KEYS[3])
end
require_commands('HSET', 'PEXPIRE', 'HDEL', 'ZREM')
redis.call('HSET', KEYS[1], ':moved_to', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if #dropped > 0 then
  redis.call('HDEL', KEYS[1], unpack(dropped))
end
if KEYS[3] then
  redis.call('ZREM', KEYS[3], ARGV[4])
end
return {'CLAIMED', carried}

---- rotate
-- Gives a user's session a new ID. The old ID is dead in the same step.
-- KEYS: old session, generation, devices, new session
-- ARGV: idle time (ms), maximum age (ms), old ID, new ID
-- Replies: ROTATED; or NONE
if redis.call('HEXISTS', KEYS[4], ':ends') == 1 then
  -- This call was sent twice. Only this call knows the new ID.
  return {'ROTATED'}
elseif not alive then
  return {'NONE'}
end
redis.call('ZCARD', KEYS[3])
require_commands('HSET', 'PEXPIRE', 'ZADD', 'ZREM', 'UNLINK')
redis.call('HSET', KEYS[4], ':ends', own, unpack(carried))
redis.call('PEXPIRE', KEYS[4], ARGV[1])
redis.call('ZADD', KEYS[3], ends, ARGV[4])
redis.call('PEXPIRE', KEYS[3], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[3])
redis.call('UNLINK', KEYS[1])
return {'ROTATED'}

---- change
-- Sets and removes fields, only if the session is alive: a late save must not bring back a session that has ended. Writes only
-- what differs from what is stored.
-- KEYS: session, and for a user: generation
-- ARGV: max fields, number of fields to set, time until these expire or '' (ms), then for each field to set: field, value,
--   then for each field to remove: field
-- Replies: CHANGED, fields removed; or NONE; or FULL
if not alive then
  return {'NONE'}
end
local flat, fields, count = redis.call('HGETALL', KEYS[1]), {}, 0
for i = 1, #flat, 2 do
  fields[flat[i]] = flat[i + 1]
end
local write, remove, over = {}, {}, {}
for field, value in pairs(fields) do
  if string.sub(field, 1, 1) ~= ':' then
    count = count + 1
  elseif string.sub(field, 1, 7) == ':until:' and whole(value, KEYS[1], field) <= now then
    over[#over + 1] = field
  end
end
for i = 1, #over do
  local field = string.sub(over[i], 8)
  remove[over[i]] = true
  if fields[field] then
    fields[field], remove[field], count = nil, true, count - 1
  end
end

local first_removed = 4 + 2 * ARGV[2]
for i = 4, first_removed - 1, 2 do
  local field, value, till = ARGV[i], ARGV[i + 1], ':until:' .. ARGV[i]
  if not fields[field] then
    count = count + 1
  end
  if ARGV[3] ~= '' then
    write[#write + 1], write[#write + 2] = till, string.format('%.0f', now + ARGV[3])
    remove[till] = nil
  elseif fields[till] then
    remove[till] = true
  end
  if fields[field] ~= value then
    write[#write + 1], write[#write + 2] = field, value
  end
  fields[field], remove[field] = value, nil
end
local removed = 0
for i = first_removed, #ARGV do
  if fields[ARGV[i]] then
    fields[ARGV[i]], remove[ARGV[i]], removed, count = nil, true, removed + 1, count - 1
    if fields[':until:' .. ARGV[i]] then
      remove[':until:' .. ARGV[i]] = true
    end
  end
end
if count > tonumber(ARGV[1]) then
  return {'FULL'}
end

local names = {}
for field in pairs(remove) do
  names[#names + 1] = field
end
require_commands('HSET', 'HDEL')
if #write > 0 then
  redis.call('HSET', KEYS[1], unpack(write))
end
if #names > 0 then
  redis.call('HDEL', KEYS[1], unpack(names))
end
return {'CHANGED', removed}

---- end
-- Ends one session.
-- KEYS: session, and for a user: generation, devices
-- ARGV: session ID
-- Replies: ENDED; or NONE
if not own then
  return {'NONE'}
end
if KEYS[3] then
  redis.call('ZCARD', KEYS[3])
end
require_commands('ZREM', 'UNLINK')
if KEYS[3] then
  redis.call('ZREM', KEYS[3], ARGV[1])
end
redis.call('UNLINK', KEYS[1])
return {alive and 'ENDED' or 'NONE'}

---- end_all
-- Ends all sessions of a user, listed or not: without the generation, none of them is alive. The list only frees memory.
-- KEYS: generation, devices
-- Replies: ENDED, generation, session IDs (list)
local generation, ids = redis.call('GET', KEYS[1]), redis.call('ZRANGE', KEYS[2], 0, -1)
require_commands('UNLINK')
redis.call('UNLINK', KEYS[1], KEYS[2])
return {'ENDED', generation, ids}
