-- Adds a store, or replaces it, on the map and in its Hash.
--
-- KEYS: the map, the store
-- ARGV: id, longitude, latitude, then fields and values
local wrong = other_type(KEYS[1], 'zset') or other_type(KEYS[2], 'hash')
if wrong then
  return wrong
end
local fields = {'longitude', ARGV[2], 'latitude', ARGV[3]}
for i = 4, #ARGV do
  fields[#fields + 1] = ARGV[i]
end
redis.call('GEOADD', KEYS[1], ARGV[2], ARGV[3], ARGV[1])
local former = redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], unpack(fields))
return {former == 1 and 'REPLACED' or 'ADDED'}
