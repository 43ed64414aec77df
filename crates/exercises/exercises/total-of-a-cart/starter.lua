-- KEYS[1]: the cart. KEYS[2]: the prices.
local total = 0
local cart = redis.call('HGETALL', KEYS[1])
for i = 1, #cart, 2 do
  local price = redis.call('HGET', KEYS[2], cart[i])
  total = total + cart[i + 1] * price
end
return total
