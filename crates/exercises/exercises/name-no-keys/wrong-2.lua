-- refused: a key that nobody gave it
local shop = string.match(KEYS[1], '^(.-)visits')
redis.call('SET', shop .. 'last:{' .. ARGV[1] .. '}', ARGV[2])
return redis.call('INCR', KEYS[1])
