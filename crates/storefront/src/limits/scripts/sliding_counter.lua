-- Two windows of the wall clock: this one counts in full, the one before by the part of it that a window ending now
-- would still cover. Answers what remains, or {'REFUSED', what remains, wait in microseconds}.
--
-- KEYS: counter
-- ARGV: cost, most in a window (at least the cost), length of the window in ms
local key, cost, most, length = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
now = (now - now % 1000) / 1000

local start, previous, current = now - now % length, 0, 0
local stored = redis.call('GET', key)
if stored then
  local then_start, then_previous, then_current = string.match(stored, '^(%d+) (%d+) (%d+)$')
  if not then_start then
    return {'MALFORMED', key, stored}
  end
  then_start = tonumber(then_start)
  if then_start >= start then
    start, previous, current = then_start, tonumber(then_previous), tonumber(then_current)
  elseif then_start + length == start then
    previous = tonumber(then_current)
  end
end

-- All in requests times milliseconds, so that nothing is rounded. A clock set back stands still.
local elapsed = now > start and now - start or 0
local free = (most - current) * length - previous * (length - elapsed)
local remaining = (free - free % length) / length - cost
if remaining >= 0 then
  local value = string.format('%.0f %d %d', start, previous, current + cost)
  -- Until the window after this one is over. A millisecond more, as a TTL begins at a whole one.
  redis.call('SET', key, value, 'PX', start + 2 * length - now + 1)
  return remaining
end

local wait
if current + cost <= tonumber(most) then
  wait = length - elapsed - math.floor((most - current - cost) * length / previous)
else
  -- Not in this window. In the next, this one is the one before.
  wait = length - elapsed + math.max(0, length - math.floor((most - cost) * length / current))
end
return {'REFUSED', math.max(0, remaining + cost), wait * 1000}
