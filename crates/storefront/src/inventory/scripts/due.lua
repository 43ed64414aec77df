-- Products of which something is due, by the server's clock.
--
-- KEYS: the products by when something of them is due
-- ARGV: how many at most, and after how many ('' for the first)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return redis.call('ZRANGE', KEYS[1], '-inf', string.format('%.0f', now), 'BYSCORE', 'LIMIT',
  tonumber(ARGV[2]) or 0, ARGV[1])
