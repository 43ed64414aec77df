-- Removes one field of a session.
--
-- KEYS: the session
-- ARGV: field
local state, created = unpack(redis.call('HMGET', KEYS[1], 'state', 'created_ms'))
if state or not created then
  return {'NONE'}
end
local removed = redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[1], ARGV[1] .. ':until')
return {'REMOVED', removed}
