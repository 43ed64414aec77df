-- refused: KEYS[2] holds
return redis.call('INCR', KEYS[1])
