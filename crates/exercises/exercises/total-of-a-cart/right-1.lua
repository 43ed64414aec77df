local cents = 0
local cart = redis.call('HGETALL', KEYS[1])
for i = 1, #cart, 2 do
  local price = redis.call('HGET', KEYS[2], cart[i])
  if not price then error('unknown SKU ' .. cart[i]) end
  cents = cents + tonumber(cart[i + 1]) * tonumber(string.format('%.0f', price * 100))
end
return string.format('%.2f', cents / 100)
