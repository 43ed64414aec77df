-- KEYS[1]: the counter. KEYS[2]: the time of the last visit. ARGV[1]: the user's ID. ARGV[2]: now, in milliseconds.
local visits = redis.call('INCR', 'visits:{' .. ARGV[1] .. '}')
redis.call('SET', 'seen:{' .. ARGV[1] .. '}', ARGV[2])
return visits
