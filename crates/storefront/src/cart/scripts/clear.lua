-- Empties the cart, also one that cannot be read for what somebody else wrote into it.
--
-- KEYS: quantities, prices, deadlines, the user (unless a guest's cart)
-- ARGV: channel, owner
local wrong = unknown_user(KEYS[4])
if wrong then
  return wrong
end
local cart, refusal = open(1, ARGV[1])
if not cart and refusal[1] ~= 'MALFORMED' then
  return refusal
end
cart = cart or {channel = ARGV[1], lines = {}}
local lines, units = count(cart)
if unlink(1) > 0 then
  cart.lines = {}
  publish(cart, 'cleared', ARGV[2], nil, -units)
end
return {'CLEARED', lines, units}
