-- Counts requests in a window that begins with the first of them and ends with the key. Answers what remains, or
-- {'REFUSED', what remains, wait in microseconds}.
--
-- KEYS: counter
-- ARGV: cost, most in a window (at least the cost), length of the window in ms
local key, cost = KEYS[1], ARGV[1]

local stored = redis.call('GET', key)
if not stored then
  redis.call('SET', key, cost, 'PX', ARGV[3])
  return ARGV[2] - cost
end
local count = tonumber(string.match(stored, '^%d+$'))
if not count then
  return {'MALFORMED', key, stored}
end
local remaining = ARGV[2] - count - cost
if remaining >= 0 then
  redis.call('INCRBY', key, cost)
  return remaining
end

local left = window_left()
if left < 0 then
  -- Somebody else's INCR without its EXPIRE; it would refuse for ever.
  left = tonumber(ARGV[3])
  redis.call('PEXPIRE', key, left)
end
return {'REFUSED', math.max(0, remaining + cost), left * 1000}
