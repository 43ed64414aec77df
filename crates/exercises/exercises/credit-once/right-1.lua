local known = redis.call('GET', KEYS[2])
if not known then
  known = redis.call('INCRBY', KEYS[1], ARGV[1])
  redis.call('PSETEX', KEYS[2], ARGV[2], known)
end
return tonumber(known)
