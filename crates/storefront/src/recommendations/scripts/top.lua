-- KEYS: popular products, their landmark
-- ARGV: rank of the last
local top = redis.call('ZREVRANGE', KEYS[1], 0, ARGV[1], 'WITHSCORES')
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
return {'TOP', now, redis.call('GET', KEYS[2]) or now, top}
