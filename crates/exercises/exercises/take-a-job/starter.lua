-- KEYS[1]: the jobs, a List. KEYS[2]: jobs in work, a Sorted Set. ARGV[1]: now. ARGV[2]: how long a job may take.
return redis.call('LPOP', KEYS[1])
