-- Removes a store from the map, with its Hash.
--
-- KEYS: the map, the store
-- ARGV: id
local wrong = other_type(KEYS[1], 'zset') or other_type(KEYS[2], 'hash')
if wrong then
  return wrong
end
local there = redis.call('ZREM', KEYS[1], ARGV[1]) + redis.call('DEL', KEYS[2])
return {there > 0 and 'REMOVED' or 'UNKNOWN'}
