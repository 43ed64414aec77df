-- The server's clock, in microseconds of the Unix epoch.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

