-- refused: another request
if redis.call('SET', KEYS[1] .. ':seen', 1, 'NX', 'PX', ARGV[2]) then
  local balance = redis.call('INCRBY', KEYS[1], ARGV[1])
  redis.call('SET', KEYS[2], balance, 'PX', ARGV[2])
  return balance
end
return tonumber(redis.call('GET', KEYS[2]) or 0)
