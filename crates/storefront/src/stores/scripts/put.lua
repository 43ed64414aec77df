-- Adds a store, or replaces it, on the map and in its Hash.
--
-- KEYS: the map, the store
-- ARGV: id, longitude, latitude, then fields and values
local wrong = other_type(KEYS[1], 'zset') or other_type(KEYS[2], 'hash')
if wrong then
  return wrong
end
local fields, has = {'longitude', ARGV[2], 'latitude', ARGV[3]}, {longitude = true, latitude = true}
for i = 4, #ARGV, 2 do
  fields[#fields + 1], fields[#fields + 2] = ARGV[i], ARGV[i + 1]
  has[ARGV[i]] = true
end
redis.call('GEOADD', KEYS[1], ARGV[2], ARGV[3], ARGV[1])
local former = redis.call('HKEYS', KEYS[2])
-- The new fields enter before the former leave: while its slot moves, a script that asks for a key which it has deleted
-- fails in its middle.
redis.call('HSET', KEYS[2], unpack(fields))
for _, field in ipairs(former) do
  if not has[field] then
    redis.call('HDEL', KEYS[2], field)
  end
end
return {#former > 0 and 'REPLACED' or 'ADDED'}
