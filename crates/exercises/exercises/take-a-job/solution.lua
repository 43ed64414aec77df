-- KEYS[1]: the jobs, a List. KEYS[2]: jobs in work, a Sorted Set. ARGV[1]: now. ARGV[2]: how long a job may take.
local deadline = ARGV[1] + ARGV[2]
local job = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1], 'LIMIT', 0, 1)[1]
if not job then
  job = redis.call('LPOP', KEYS[1])
end
if job then
  redis.call('ZADD', KEYS[2], deadline, job)
end
return job
