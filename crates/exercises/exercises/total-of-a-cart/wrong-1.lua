-- refused: sku-unknown
local total = 0
local cart = redis.call('HGETALL', KEYS[1])
for i = 1, #cart, 2 do
  local price = redis.call('HGET', KEYS[2], cart[i]) or 0
  total = total + cart[i + 1] * math.floor(price * 100 + 0.5)
end
return string.format('%.2f', total / 100)
