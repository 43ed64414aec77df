-- The stores of a shop:
--
--   map      Sorted Set of store IDs by geohash
--   details  Hash: store ID -> name and hours as JSON
--
-- A store is in both or in neither. If their sizes differ, one of them was lost.

---- put
-- Adds or replaces a store.
-- KEYS: map, details
-- ARGV: store ID, longitude, latitude, details
-- Replies: ADDED; or REPLACED
local there = redis.call('HEXISTS', KEYS[2], ARGV[1])
redis.call('ZCARD', KEYS[1])
require_commands('GEOADD', 'HSET')
redis.call('GEOADD', KEYS[1], ARGV[2], ARGV[3], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[4])
return {there == 1 and 'REPLACED' or 'ADDED'}

---- relocate
-- Moves a store on the map.
-- KEYS: map, details
-- ARGV: store ID, longitude, latitude
-- Replies: MOVED; or UNKNOWN
local there = redis.call('HEXISTS', KEYS[2], ARGV[1])
redis.call('ZCARD', KEYS[1])
if there == 0 then
  return {'UNKNOWN'}
end
require_commands('GEOADD')
redis.call('GEOADD', KEYS[1], ARGV[2], ARGV[3], ARGV[1])
return {'MOVED'}

---- remove
-- Removes a store.
-- KEYS: map, details
-- ARGV: store ID
-- Replies: REMOVED; or UNKNOWN
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
-- Removes all stores.
-- KEYS: map, details
-- Replies: CLEARED
if redis.call('ZCARD', KEYS[1]) + redis.call('HLEN', KEYS[2]) > 0 then
  require_commands('UNLINK')
  redis.call('UNLINK', KEYS[1])
  redis.call('UNLINK', KEYS[2])
end
return {'CLEARED'}

---- near
-- Finds stores, with their distances and details.
-- KEYS: map, details
-- ARGV: for each argument of GEOSEARCH: argument
-- Replies: FOUND, IDs and distances (list), details (list); or DAMAGED
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
