-- The index of the catalog is one Hash, so that neither half can be lost alone: 'sku:' and SKU -> 'price name', and 'name:' and
-- name -> SKU.

---- put
-- Adds or changes a product, unless another product has its name.
-- KEYS: skus
-- ARGV: SKU, name, price
-- Replies: ADDED; or CHANGED; or NAME_TAKEN, SKU
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
-- Removes a product from the index.
-- KEYS: skus
-- ARGV: SKU
-- Replies: REMOVED; or UNKNOWN
local entry = redis.call('HGET', KEYS[1], 'sku:' .. ARGV[1])
if not entry then
  return {'UNKNOWN'}
end
redis.call('HDEL', KEYS[1], 'sku:' .. ARGV[1], 'name:' .. (string.match(entry, '^%S+ (.*)$') or ''))
return {'REMOVED'}
