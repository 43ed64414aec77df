-- refused: the page is cached
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) or redis.call('GET', KEYS[2]) == ARGV[1] then
  return {'rebuild'}
end
local page = redis.call('GET', KEYS[1])
if page then return {'hit', page} end
return {'wait'}
