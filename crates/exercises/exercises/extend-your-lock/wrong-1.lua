-- refused: time to live of B's lock
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
