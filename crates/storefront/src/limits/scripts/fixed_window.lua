-- Counts requests in a window that begins with the first of them and ends with the key.
--
-- KEYS: counter
-- ARGV: cost, most in a window (at least the cost), length of the window in ms
local key, cost, most = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])

local stored = redis.call('GET', key)
if not stored then
  redis.call('SET', key, cost, 'PX', ARGV[3])
  return {'ADMITTED', most - cost}
end
local count = tonumber(string.match(stored, '^%d+$'))
if not count then
  return {'MALFORMED', key, stored}
end
if count + cost <= most then
  redis.call('INCRBY', key, cost)
  return {'ADMITTED', most - count - cost}
end

local left = redis.call('PTTL', key)
if left < 0 then
  -- Somebody else's INCR without its EXPIRE; it would refuse for ever.
  left = tonumber(ARGV[3])
  redis.call('PEXPIRE', key, left)
end
return {'REFUSED', math.max(0, most - count), left * 1000}
