-- refused: asked again
local page = redis.call('GET', KEYS[1])
if page then return {'hit', page} end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {'rebuild'} end
return {'wait'}
