-- Removes some or all units of one product.
--
-- KEYS: quantities, prices, deadlines, the user (unless a guest's cart)
-- ARGV: cart TTL in ms, channel, owner, SKU, quantity or '' for all
local ttl, channel, owner, sku = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local wrong = unknown_user(KEYS[4])
if wrong then
  return wrong
end
local cart, refusal = open(1, channel)
if not cart then
  return refusal
end
local line = cart.lines[sku]
if not line then
  return {'NOT_IN_CART'}
end
local quantity = tonumber(ARGV[5]) or line.quantity
if quantity < 1 or quantity > line.quantity then
  return {'ONLY_IN_CART', line.quantity}
end

if quantity == line.quantity then
  drop(cart, sku)
else
  put(cart, sku, {quantity = line.quantity - quantity, seen = line.seen, deadline = line.deadline})
end
slide(cart, ttl)
local lines, units, total = publish(cart, 'removed', owner, sku, -quantity)
return {'REMOVED', quantity, line.quantity - quantity, lines, units, total}
