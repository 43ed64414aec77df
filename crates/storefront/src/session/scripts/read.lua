-- Reads a session and lets it live on: until the idle time is over again, or the session at its oldest, or the time that
-- its user's index knows of.
--
-- Every page that a customer opens asks for this. So it stands alone, without the functions that the other scripts share,
-- since defining those takes as long as a command; it looks at the Hash once, and hands it on as it came.
--
-- KEYS: the session
-- ARGV: idle time in ms, or '' to look without sliding; until when the index has just promised to keep it, or ''
local idle, promised = ARGV[1], ARGV[2]
local flat = redis.call('HGETALL', KEYS[1])
local created, state, user, ends, indexed
for i = 1, #flat, 2 do
  local field = flat[i]
  if field == 'created_ms' then
    created = true
  elseif field == 'state' then
    state = true
  elseif field == 'user' then
    user = true
  elseif field == 'ends_ms' then
    ends = flat[i + 1]
  elseif field == 'indexed_until_ms' then
    indexed = flat[i + 1]
  end
end
-- What is written 'pending' or 'moved' is no session: one not yet begun, one whose id was replaced.
if state or not created then
  return {'NONE'}
end
-- Fifteen digits are exact numbers, and last for thirty thousand years.
ends = ends and #ends <= 15 and string.find(ends, '^%d+$') and tonumber(ends)
indexed = indexed and #indexed <= 15 and string.find(indexed, '^%d+$') and tonumber(indexed)
if not ends then
  return {'MALFORMED', KEYS[1], 'ends_ms'}
elseif user and not indexed then
  return {'MALFORMED', KEYS[1], 'indexed_until_ms'}
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if idle == '' then
  return {'SESSION', now, now + redis.call('PTTL', KEYS[1]), 0, flat}
end
if indexed and promised ~= '' then
  indexed = tonumber(promised)
  redis.call('HSET', KEYS[1], 'indexed_until_ms', promised)
end
local wanted = now + idle
if wanted <= ends and not (indexed and indexed < wanted) then
  redis.call('PEXPIRE', KEYS[1], idle)
  return {'SESSION', now, wanted, 0, flat}
end
wanted = math.min(wanted, ends)
local expires = indexed and math.min(wanted, indexed) or wanted
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', expires))
return {'SESSION', now, expires, wanted > expires and 1 or 0, flat}
