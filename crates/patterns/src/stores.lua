-- The stores of a shop. Every script has the same keys:
--
-- KEYS[1]: the map, a Sorted Set of store IDs by geohash
-- KEYS[2]: the details, a Hash: store ID to name and hours as JSON
--
-- A store is in both or in neither. If their sizes differ, one of them was lost.

---- put
-- ARGV: ID, longitude, latitude, details
local there = redis.call('HEXISTS', KEYS[2], ARGV[1])
redis.call('ZCARD', KEYS[1])
require_commands('GEOADD', 'HSET')
redis.call('GEOADD', KEYS[1], ARGV[2], ARGV[3], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[4])
return {there == 1 and 'REPLACED' or 'ADDED'}

---- relocate
-- ARGV: ID, longitude, latitude
local there = redis.call('HEXISTS', KEYS[2], ARGV[1])
redis.call('ZCARD', KEYS[1])
if there == 0 then
  return {'UNKNOWN'}
end
require_commands('GEOADD')
redis.call('GEOADD', KEYS[1], ARGV[2], ARGV[3], ARGV[1])
return {'MOVED'}

---- remove
-- ARGV: ID
local there = redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1
local on_map = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not there and not on_map then
  return {'UNKNOWN'}
end
require_commands('ZREM', 'HDEL')
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
return {'REMOVED'}

---- clear
if redis.call('ZCARD', KEYS[1]) + redis.call('HLEN', KEYS[2]) > 0 then
  require_commands('UNLINK')
  redis.call('UNLINK', KEYS[1])
  redis.call('UNLINK', KEYS[2])
end
return {'CLEARED'}

---- near
-- ARGV: what follows the key in GEOSEARCH, with WITHDIST
if redis.call('ZCARD', KEYS[1]) ~= redis.call('HLEN', KEYS[2]) then
  return {'DAMAGED'}
end
local found = redis.call('GEOSEARCH', KEYS[1], unpack(ARGV))
if #found == 0 then
  return {'FOUND', found, found}
end
local ids = {}
for i = 1, #found do
  ids[i] = found[i][1]
end
return {'FOUND', found, redis.call('HMGET', KEYS[2], unpack(ids))}
