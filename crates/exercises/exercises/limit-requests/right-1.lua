if redis.call('SET', KEYS[1], 0, 'PX', ARGV[2], 'NX') then end
return redis.call('INCR', KEYS[1]) <= tonumber(ARGV[1]) and 1 or 0
