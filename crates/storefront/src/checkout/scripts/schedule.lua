-- Notes when somebody else must look after an order, by the server's clock, and says when. Never earlier than was noted
-- before.
--
-- KEYS: the unfinished orders
-- ARGV: order, ms from now
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local at = integer(now + tonumber(ARGV[2]))
redis.call('ZADD', KEYS[1], 'GT', at, ARGV[1])
return {'DONE', at}
