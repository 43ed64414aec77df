-- refused: two workers
local job = redis.call('LPOP', KEYS[1]) or redis.call('ZRANGE', KEYS[2], 0, 0)[1]
if job then redis.call('ZADD', KEYS[2], ARGV[1] + ARGV[2], job) end
return job or false
