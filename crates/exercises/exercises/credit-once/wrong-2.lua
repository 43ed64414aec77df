-- refused: the reply of the first time
if redis.call('SET', KEYS[2], 1, 'NX', 'PX', ARGV[2]) then
  return redis.call('INCRBY', KEYS[1], ARGV[1])
end
return tonumber(redis.call('GET', KEYS[1]))
