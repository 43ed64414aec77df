-- KEYS[1]: the counter. KEYS[2]: the time of the last visit. ARGV[2]: now, in milliseconds.
local visits = redis.call('INCR', KEYS[1])
redis.call('SET', KEYS[2], ARGV[2])
return visits
