local visits = (tonumber(redis.call('GET', KEYS[1])) or 0) + 1
redis.call('MSET', KEYS[1], visits, KEYS[2], ARGV[2])
return visits
