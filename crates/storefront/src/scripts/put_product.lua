-- Adds or changes a product and keeps both indexes in step with it: a name leads to one SKU, and a former name to none.
--
-- KEYS: the index by SKU, the index by name, then the product (left out where it lives in another slot)
-- ARGV: SKU, name, price, a SKU that the index still gives the name to though its product has it no more, or ''
local by_sku, by_name, product = KEYS[1], KEYS[2], KEYS[3]
local sku, name, price, ghost = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local wrong = other_type(by_sku, 'hash') or other_type(by_name, 'hash') or product and other_type(product, 'hash')
if wrong then
  return wrong
end
local holder = redis.call('HGET', by_name, name)
if holder and holder ~= sku and holder ~= ghost then
  return {'NAME_TAKEN', holder}
end

-- The new name enters before the former leaves: while its slot moves, a script that asks for a key which it has emptied
-- fails in its middle.
local former = redis.call('HGET', by_sku, sku)
redis.call('HSET', by_sku, sku, name)
redis.call('HSET', by_name, name, sku)
if former and former ~= name and redis.call('HGET', by_name, former) == sku then
  redis.call('HDEL', by_name, former)
end
if product then
  redis.call('HSET', product, 'name', name, 'price', price)
end
return {former and 'CHANGED' or 'ADDED'}
