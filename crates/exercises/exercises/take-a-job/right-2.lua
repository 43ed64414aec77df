local job = redis.call('LPOP', KEYS[1])
if not job then
  local due = redis.call('ZRANGE', KEYS[2], '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, 1)
  job = due[1]
end
if job then redis.call('ZADD', KEYS[2], ARGV[1] + ARGV[2], job) end
return job or false
