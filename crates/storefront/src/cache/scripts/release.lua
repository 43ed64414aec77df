-- Lets somebody else load.
--
-- KEYS: the token of the loader
-- ARGV: our token
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('UNLINK', KEYS[1])
end
return 1
