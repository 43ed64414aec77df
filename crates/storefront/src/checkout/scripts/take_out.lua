-- Takes what was bought out of the cart, once per order. Units that were added since stay.
--
-- KEYS: quantities, prices, deadlines, the mark of the order
-- ARGV: channel, owner, ms to remember the order, then SKU and units of every line
local channel, owner, remember = ARGV[1], ARGV[2], ARGV[3]

local wrong = other_type(KEYS[4], 'string')
if wrong then
  return wrong
end
if redis.call('EXISTS', KEYS[4]) == 1 then
  return {'TAKEN_BEFORE'}
end
local cart, refusal = open(1, channel)
if not cart then
  return refusal
end
redis.call('SET', KEYS[4], integer(now), 'PX', remember)
for i = 4, #ARGV, 2 do
  local sku, line = ARGV[i], cart.lines[ARGV[i]]
  if line then
    local units = math.min(tonumber(ARGV[i + 1]), line.quantity)
    if units == line.quantity then
      drop(cart, sku)
    else
      put(cart, sku, {quantity = line.quantity - units, seen = line.seen, deadline = line.deadline})
    end
    publish(cart, 'removed', owner, sku, -units)
  end
end
leave(cart)
return {'TAKEN'}
