-- KEYS[1]: the lock. ARGV[1]: the token of the client that releases.
return redis.call("DEL", KEYS[1])
