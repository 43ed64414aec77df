-- refused: fell below zero
for i, stock in ipairs(KEYS) do redis.call('DECRBY', stock, ARGV[i]) end
return 1
