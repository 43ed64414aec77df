-- Reads a session and lets it live on: until the idle time is over again, or the session at its oldest, or the time that
-- its user's index knows of.
--
-- KEYS: the session
-- ARGV: idle time in ms, or '' to look without sliding; until when the index has just promised to keep it, or ''
local fields, flat = stored(KEYS[1])
if not is_live(fields) then
  return {'NONE'}
end
local now, ends, indexed = clock(), whole(fields.ends_ms, HIGHEST), whole(fields.indexed_until_ms, HIGHEST)
if not ends then
  return {'MALFORMED', KEYS[1], 'ends_ms'}
end
if fields.user and not indexed then
  return {'MALFORMED', KEYS[1], 'indexed_until_ms'}
end
if ARGV[1] == '' then
  return {'SESSION', now, now + redis.call('PTTL', KEYS[1]), 0, flat}
end
if indexed and ARGV[2] ~= '' then
  indexed = tonumber(ARGV[2])
  redis.call('HSET', KEYS[1], 'indexed_until_ms', integer(indexed))
end
local wanted = math.min(now + ARGV[1], ends)
local expires = indexed and math.min(wanted, indexed) or wanted
redis.call('PEXPIREAT', KEYS[1], integer(expires))
return {'SESSION', now, expires, wanted > expires and 1 or 0, flat}
