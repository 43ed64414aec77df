local total = 0
for _, sku in ipairs(redis.call('HKEYS', KEYS[1])) do
  local whole, part = string.match(redis.call('HGET', KEYS[2], sku) or '', '^(%d+)%.?(%d*)$')
  if not whole then return {err = 'ERR ' .. sku .. ' has no price'} end
  part = string.sub(part .. '00', 1, 2)
  total = total + redis.call('HGET', KEYS[1], sku) * (whole * 100 + part)
end
return math.floor(total / 100) .. '.' .. string.format('%02d', total % 100)
