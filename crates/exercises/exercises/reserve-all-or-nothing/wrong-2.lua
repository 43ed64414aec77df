-- refused: enough of each
for i, stock in ipairs(KEYS) do
  if tonumber(redis.call('GET', stock) or '0') <= tonumber(ARGV[i]) then return 0 end
end
for i, stock in ipairs(KEYS) do redis.call('DECRBY', stock, ARGV[i]) end
return 1
