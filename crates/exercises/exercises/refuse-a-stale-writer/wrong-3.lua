-- refused: number 11 wrote after number 12
local last = tonumber(redis.call('HGET', KEYS[1], 'number') or '-1')
if tonumber(ARGV[1]) < last then return 0 end
redis.call('HSET', KEYS[1], 'text', ARGV[2])
return 1
