-- Ends one session.
--
-- KEYS: the session
local state, created, user = unpack(redis.call('HMGET', KEYS[1], 'state', 'created_ms', 'user'))
if state or not created then
  return {'NONE'}
end
redis.call('UNLINK', KEYS[1])
return {'ENDED', user or ''}
