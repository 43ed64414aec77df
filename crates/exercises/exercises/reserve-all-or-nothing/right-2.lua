local taken = {}
for i, stock in ipairs(KEYS) do
  if redis.call('DECRBY', stock, ARGV[i]) < 0 then
    for j = 1, i do redis.call('INCRBY', KEYS[j], ARGV[j]) end
    return 0
  end
end
return 1
