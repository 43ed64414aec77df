if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('HSET', KEYS[2], 'balance', redis.call('INCRBY', KEYS[1], ARGV[1]))
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
return tonumber(redis.call('HGET', KEYS[2], 'balance'))
