-- refused: does not expire
local page = redis.call('GET', KEYS[1])
if page then return {'hit', page} end
if redis.call('SETNX', KEYS[2], ARGV[1]) == 1 or redis.call('GET', KEYS[2]) == ARGV[1] then return {'rebuild'} end
return {'wait'}
