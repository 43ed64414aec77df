-- refused: as text
for i, stock in ipairs(KEYS) do
  if (redis.call('GET', stock) or '0') < ARGV[i] then return 0 end
end
for i, stock in ipairs(KEYS) do redis.call('DECRBY', stock, ARGV[i]) end
return 1
