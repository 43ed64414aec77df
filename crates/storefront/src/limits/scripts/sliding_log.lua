-- Remembers each admitted request until it is a window old.
--
-- KEYS: log
-- ARGV: cost, most in a window (at least the cost), length of the window in microseconds
local key, cost, most, length = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now - length))
local count = redis.call('ZCARD', key)
if count + cost > most then
  -- As many as are too many have to leave, the oldest first.
  local last = count + cost - most - 1
  local leaving = redis.call('ZRANGE', key, last, last, 'WITHSCORES')
  return {'REFUSED', math.max(0, most - count), leaving[2] + length - now}
end

-- Requests of one microsecond are told apart by a number. It begins at the size of the log, which is free unless the
-- clock was set back.
local score, number = string.format('%.0f', now), count
for _ = 1, cost do
  while redis.call('ZADD', key, 'NX', score, score .. '-' .. number) == 0 do
    number = number + 1
  end
  number = number + 1
end
-- A millisecond more than the window, as a TTL begins at a whole one.
redis.call('PEXPIRE', key, length / 1000 + 1)
return {'ADMITTED', most - count - cost}
