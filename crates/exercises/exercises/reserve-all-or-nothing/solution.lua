-- KEYS: the stocks. ARGV: the units of each.
for i, stock in ipairs(KEYS) do
  local left = tonumber(redis.call('GET', stock) or '0')
  if left < tonumber(ARGV[i]) then
    return 0
  end
end
for i, stock in ipairs(KEYS) do
  redis.call('DECRBY', stock, ARGV[i])
end
return 1
