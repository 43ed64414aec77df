-- A token bucket by one time: when it is full again, if nothing more is taken (GCRA's theoretical arrival time).
--
-- KEYS: bucket
-- ARGV: cost, microseconds in which one token comes, microseconds in which an empty bucket fills
local key, cost, interval, capacity = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local full = now
local stored = redis.call('GET', key)
if stored then
  full = tonumber(string.match(stored, '^%d+$'))
  if not full then
    return {'MALFORMED', key, stored}
  end
  -- No bucket is emptier than empty; only a clock set back makes it seem so.
  full = math.min(math.max(full, now), now + capacity)
end

local full_then = full + cost * interval
local spare = now + capacity - full_then
if spare < 0 then
  return {'REFUSED', math.floor((now + capacity - full) / interval), -spare}
end
-- A millisecond more, as a TTL begins at a whole one.
local ttl = math.ceil((full_then - now) / 1000) + 1
redis.call('SET', key, string.format('%.0f', full_then), 'PX', string.format('%.0f', ttl))
return {'ADMITTED', math.floor(spare / interval)}
