redis.call('SET', KEYS[2], ARGV[2])
return redis.call('INCRBY', KEYS[1], 1)
