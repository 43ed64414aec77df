-- On a cluster, first step of a login: the new session is there and nobody can use it. Should nothing follow, it goes by
-- itself.
--
-- KEYS: the new session
-- ARGV: ms that it waits, user
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {'PREPARED'}
end
redis.call('HSET', KEYS[1], 'state', 'pending', 'user', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {'PREPARED'}
