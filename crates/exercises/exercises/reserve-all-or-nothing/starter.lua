-- KEYS: the stocks. ARGV: the units of each.
for i, stock in ipairs(KEYS) do
  local left = tonumber(redis.call('GET', stock) or '0')
  local units = tonumber(ARGV[i])
  if left < units then
    return 0
  end
  redis.call('DECRBY', stock, units)
end
return 1
