-- The index of the catalog: one Hash, so that no half of it can be lost without the other.
--
-- KEYS[1] skus: 'sku:' and SKU -> 'price name'; 'name:' and name -> SKU

---- put
-- Enters a product, unless its name belongs to another one.
-- ARGV: SKU, name, price
local entry, owner = redis.call('HGET', KEYS[1], 'sku:' .. ARGV[1]), redis.call('HGET', KEYS[1], 'name:' .. ARGV[2])
if owner and owner ~= ARGV[1] then
  return {'NAME_TAKEN', owner}
end
local former = entry and string.match(entry, '^%S+ (.*)$')
require_commands('HSET', 'HDEL')
redis.call('HSET', KEYS[1], 'sku:' .. ARGV[1], ARGV[3] .. ' ' .. ARGV[2], 'name:' .. ARGV[2], ARGV[1])
if former and former ~= ARGV[2] then
  redis.call('HDEL', KEYS[1], 'name:' .. former)
end
return {entry and 'CHANGED' or 'ADDED'}

---- remove
-- ARGV: SKU
local entry = redis.call('HGET', KEYS[1], 'sku:' .. ARGV[1])
if not entry then
  return {'UNKNOWN'}
end
redis.call('HDEL', KEYS[1], 'sku:' .. ARGV[1], 'name:' .. (string.match(entry, '^%S+ (.*)$') or ''))
return {'REMOVED'}
