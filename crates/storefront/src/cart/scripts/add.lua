-- Adds units of one product, all or none.
--
-- KEYS: quantities, prices, deadlines, the user (unless a guest's cart), the product (unless ARGV brings its price)
-- ARGV: cart TTL in ms, channel, owner, SKU, quantity, most units in a line, most lines, 'user' or 'guest',
--       item TTL in ms or '', price in cents or ''
local ttl, channel, owner, sku, quantity = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local most_units, most_lines = tonumber(ARGV[6]), tonumber(ARGV[7])
local user = ARGV[8] == 'user' and KEYS[4] or nil
local item_ttl, price = tonumber(ARGV[9]), tonumber(ARGV[10])

local wrong = unknown_user(user)
if wrong then
  return wrong
end
if not price then
  local product = KEYS[#KEYS]
  wrong = other_type(product, 'hash')
  if wrong then
    return wrong
  end
  local stored = redis.call('HGET', product, 'price')
  if not stored then
    return {'UNKNOWN_SKU'}
  end
  price = cents(stored)
  if not price then
    return {'MALFORMED', product, 'price'}
  end
end
local cart, refusal = open(1, channel)
if not cart then
  return refusal
end

local line = cart.lines[sku]
local have = line and line.quantity or 0
if quantity < 1 or have + quantity > most_units then
  return {'LINE_LIMIT', have}
end
if not line and count(cart) >= most_lines then
  return {'CART_FULL'}
end

-- Adding more to a line that has a deadline keeps it, unless a new one is given.
local deadline = item_ttl and now + item_ttl or line and line.deadline
put(cart, sku, {quantity = have + quantity, seen = price, deadline = deadline})
slide(cart, ttl)
local lines, units, total = publish(cart, 'added', owner, sku, quantity)
return {'ADDED', have + quantity, price, lines, units, total}
