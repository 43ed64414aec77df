-- On a cluster, first step of a login: the new session is there and nobody can use it. Should nothing follow, it goes by
-- itself.
--
-- KEYS: the new session
-- ARGV: ms that it waits, user
local state, user = unpack(redis.call('HMGET', KEYS[1], 'state', 'user'))
-- Ours, when the answer that told us of it was lost.
if state == 'pending' and user == ARGV[2] then
  return {'PREPARED'}
elseif redis.call('EXISTS', KEYS[1]) == 1 then
  return {'TAKEN'}
end
redis.call('HSET', KEYS[1], 'state', 'pending', 'user', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {'PREPARED'}
