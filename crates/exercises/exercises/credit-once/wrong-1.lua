-- refused: forever
local known = redis.call('GET', KEYS[2])
if known then return tonumber(known) end
local balance = redis.call('INCRBY', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], balance)
return balance
