-- Takes a product off sale, with its entries in both indexes.
--
-- KEYS: the index by SKU, the index by name, then the product (left out where it lives in another slot)
-- ARGV: SKU
local by_sku, by_name, product = KEYS[1], KEYS[2], KEYS[3]
local sku = ARGV[1]

local wrong = other_type(by_sku, 'hash') or other_type(by_name, 'hash') or product and other_type(product, 'hash')
if wrong then
  return wrong
end
local former = redis.call('HGET', by_sku, sku)
if former and redis.call('HGET', by_name, former) == sku then
  redis.call('HDEL', by_name, former)
end
local removed = redis.call('HDEL', by_sku, sku)
if product then
  removed = removed + redis.call('DEL', product)
end
return {removed > 0 and 'REMOVED' or 'UNKNOWN'}
