-- Remembers each admitted request until it is a window old. Answers what remains, or {'REFUSED', what remains, wait in
-- microseconds}.
--
-- KEYS: log
-- ARGV: cost, most in a window (at least the cost), length of the window in microseconds
local key, length = KEYS[1], ARGV[3]

local over, within = now - length, '(' .. string.format('%.0f', now - length)
local count = redis.call('ZCOUNT', key, within, '+inf')
local remaining = ARGV[2] - count - ARGV[1]
if remaining < 0 then
  -- As many as are too many have to leave, the oldest first.
  local leaving = redis.call('ZRANGE', key, within, '+inf', 'BYSCORE', 'LIMIT', -remaining - 1, 1, 'WITHSCORES')
  return {'REFUSED', math.max(0, ARGV[2] - count), leaving[2] + length - now}
end

-- Requests of one microsecond are told apart by a number. It begins at the size of the log, which is free unless the
-- clock was set back.
for _ = 1, ARGV[1] do
  while redis.call('ZADD', key, 'NX', now, string.format('%.0f-%d', now, count)) == 0 do
    count = count + 1
  end
  count = count + 1
end
-- What is over leaves last: a log without requests is gone, and while its slot moves a script that asks for a key which is
-- gone fails in its middle.
redis.call('ZREMRANGEBYSCORE', key, '-inf', over)
-- A millisecond more than the window, as a TTL begins at a whole one.
redis.call('PEXPIRE', key, length / 1000 + 1)
return remaining
