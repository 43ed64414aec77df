-- refused: two workers
local job = redis.call('LINDEX', KEYS[1], 0)
return job
