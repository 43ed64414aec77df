-- Moves a store to another place.
--
-- KEYS: the map, the store
-- ARGV: id, longitude, latitude
local wrong = other_type(KEYS[1], 'zset') or other_type(KEYS[2], 'hash')
if wrong then
  return wrong
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  return {'UNKNOWN'}
end
redis.call('GEOADD', KEYS[1], ARGV[2], ARGV[3], ARGV[1])
redis.call('HSET', KEYS[2], 'longitude', ARGV[2], 'latitude', ARGV[3])
return {'MOVED'}
