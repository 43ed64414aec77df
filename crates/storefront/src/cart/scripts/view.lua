-- Reads the cart and lets it live on.
--
-- KEYS: quantities, prices, deadlines, the user (unless a guest's cart)
-- ARGV: cart TTL in ms
local wrong = unknown_user(KEYS[4])
if wrong then
  return wrong
end
local cart, refusal = open(1)
if not cart then
  return refusal
end
slide(cart, ARGV[1])

local lines = {}
for sku, line in pairs(cart.lines) do
  lines[#lines + 1] = {sku, line.quantity, line.seen or false, line.deadline and line.deadline - now or false}
end
-- An empty cart has no key, and none is asked for what it has just been given.
return {'LINES', lines, #lines > 0 and tonumber(ARGV[1]) or -2}
