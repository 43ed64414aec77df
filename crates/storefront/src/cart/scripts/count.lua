-- Counts the cart without changing it, not even its TTL.
--
-- KEYS: quantities, prices, deadlines, the user (unless a guest's cart)
local wrong = unknown_user(KEYS[4])
if wrong then
  return wrong
end
local cart, refusal = open(1)
if not cart then
  return refusal
end
return {'COUNT', count(cart)}
