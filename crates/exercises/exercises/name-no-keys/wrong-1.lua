-- refused: a key that nobody gave it
local visits = redis.call('INCR', KEYS[1])
redis.call('SET', 'seen:{' .. ARGV[1] .. '}', ARGV[2])
return visits
