for _, job in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1])) do
  redis.call('ZREM', KEYS[2], job)
  redis.call('LPUSH', KEYS[1], job)
end
local job = redis.call('LPOP', KEYS[1])
if not job then return nil end
redis.call('ZADD', KEYS[2], tonumber(ARGV[1]) + tonumber(ARGV[2]), job)
return job
