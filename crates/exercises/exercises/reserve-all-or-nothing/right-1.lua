local left = redis.call('MGET', unpack(KEYS))
for i = 1, #KEYS do
  if tonumber(left[i] or 0) < tonumber(ARGV[i]) then return 0 end
end
for i = 1, #KEYS do redis.call('INCRBY', KEYS[i], -tonumber(ARGV[i])) end
return 1
