local page = redis.call('GET', KEYS[1])
if page then return {'hit', page} end
local builder = redis.call('GET', KEYS[2])
if not builder then
  redis.call('PSETEX', KEYS[2], ARGV[2], ARGV[1])
  builder = ARGV[1]
end
if builder == ARGV[1] then return {'rebuild'} end
return {'wait'}
