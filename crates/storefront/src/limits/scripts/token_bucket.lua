-- A token bucket by one time: when it is full again, if nothing more is taken (GCRA's theoretical arrival time). Answers
-- what remains, or {'REFUSED', what remains, wait in microseconds}.
--
-- KEYS: bucket
-- ARGV: microseconds in which the cost comes back, those in which one token comes, those in which an empty bucket fills
local key, interval, empty = KEYS[1], ARGV[2], now + ARGV[3]

local full = now
local stored = redis.call('GET', key)
if stored then
  full = tonumber(string.match(stored, '^%d+$'))
  if not full then
    return {'MALFORMED', key, stored}
  elseif full < now then
    full = now
  elseif full > empty then
    -- No bucket is emptier than empty; only a clock set back makes it seem so.
    full = empty
  end
end

local full_then = full + ARGV[1]
local spare = empty - full_then
if spare < 0 then
  return {'REFUSED', math.floor((empty - full) / interval), -spare}
end
-- Rounded up, and a millisecond more, as a TTL begins at a whole one.
local ahead = full_then - now
redis.call('SET', key, full_then, 'PX', (ahead - ahead % 1000) / 1000 + 2)
return (spare - spare % interval) / interval
