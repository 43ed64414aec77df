-- Stores what was loaded, if we are still the one to load it.
--
-- KEYS: the document, the token of its loader
-- ARGV: our token, the document, its ms to live
-- SET overwrites whatever is there: a key of another type is somebody else's, and fails here.
redis.call('STRLEN', KEYS[1])
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('UNLINK', KEYS[2])
return 1
