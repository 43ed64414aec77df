-- Puts members into Sorted Sets, scored by the server's milliseconds, and lets the oldest go.
--
-- KEYS: the Sorted Sets, each of which gets all the members
-- ARGV: how many stay, ms the sets live on, members
for _, key in ipairs(KEYS) do
  -- A key of another type fails here, before anything has changed.
  redis.call('ZCARD', key)
end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
for _, key in ipairs(KEYS) do
  for i = 3, #ARGV do
    redis.call('ZADD', key, 'GT', now, ARGV[i])
  end
  redis.call('ZREMRANGEBYRANK', key, 0, -1 - tonumber(ARGV[1]))
  redis.call('PEXPIRE', key, ARGV[2])
end
return {'REMEMBERED'}
