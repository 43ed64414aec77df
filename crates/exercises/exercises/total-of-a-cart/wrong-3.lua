-- refused: two decimals
local cents = 0
local cart = redis.call('HGETALL', KEYS[1])
for i = 1, #cart, 2 do
  local price = redis.call('HGET', KEYS[2], cart[i])
  if not price then return redis.error_reply('no price for ' .. cart[i]) end
  cents = cents + cart[i + 1] * math.floor(price * 100 + 0.5)
end
return tostring(cents / 100)
