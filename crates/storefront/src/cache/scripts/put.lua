-- Stores a document, and takes their right from those who are loading an older one.
--
-- KEYS: the document, the token of its loader
-- ARGV: the document, its ms to live
-- SET overwrites whatever is there: a key of another type is somebody else's, and fails here.
redis.call('STRLEN', KEYS[1])
redis.call('STRLEN', KEYS[2])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('UNLINK', KEYS[2])
return 1
