-- Remembers each admitted request until it is a window old.
--
-- Each limit has a List of requests, the latest last. An entry is a time in microseconds since 1970, and the total of all costs
-- up to and including that request. Both only grow, so the script finds an entry by binary search. The first entry is always
-- older than the window: all later ones together cost the last total minus the first.

---- search
-- Finds entries by time and total.
local function entry(key, index)
  local time, total = string.match(redis.call('LINDEX', key, index), '^(%d+) (%d+)$')
  if not time then
    error({err = 'MALFORMED ' .. key .. ' has an entry that is not two numbers'})
  end
  return tonumber(time), tonumber(total)
end

-- The last entry with at most this time and this total. Usually few entries have become too old since the last request, so the
-- search begins with small steps.
local function last_at_most(key, length, max_time, max_total)
  local low, high, step = 0, length, 1
  while high - low > 1 do
    local middle = math.min(low + step, math.floor((low + high) / 2))
    local time, total = entry(key, middle)
    if time <= max_time and total <= max_total then
      low, step = middle, 2 * step
    else
      high = middle
    end
  end
  return low
end

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

---- decide
-- Admits or refuses a request under all its limits at once.
-- KEYS: for each limit: requests
-- ARGV: cost, take or peek, then for each limit: quota, window (us)
-- Replies: ADMITTED or REFUSED, then for each limit: amount used, time until such a request is admitted (us), time until nothing
--   is used (us)
local cost, reply, logs = tonumber(ARGV[1]), {'ADMITTED'}, {}
for i = 1, #KEYS do
  local key, quota, window = KEYS[i], tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
  local length = redis.call('LLEN', key)
  local log, wait, reset = {length = length, first = 0, base = 0, total = 0}, 0, 0
  if length > 0 then
    local last, _
    last, log.total = entry(key, -1)
    log.healed = last > now
    log.first = last_at_most(key, length, math.max(last, now) - window, math.huge)
    _, log.base = entry(key, log.first)
    reset = log.total > log.base and math.min(last, now) + window - now or 0
  end
  local used = log.total - log.base
  if used + cost > quota then
    reply[1], wait = 'REFUSED', reset
    if not log.healed and cost <= quota then
      local leaves = entry(key, last_at_most(key, length, math.huge, log.total + cost - quota - 1) + 1)
      wait = leaves + window - now
    end
  end
  logs[i], reply[3 * i - 1], reply[3 * i], reply[3 * i + 1] = log, used, wait, reset
end

if ARGV[2] == 'take' then
  require_commands('RPUSH', 'LTRIM', 'PEXPIRE')
  local admitted, new = reply[1] == 'ADMITTED', string.format('%.0f ', now)
  for i = 1, #KEYS do
    local key, log, window = KEYS[i], logs[i], ARGV[2 * i + 2]
    if log.healed then
      -- The clock was set back, so the log has times that are still to come. All that is used counts as of now.
      redis.call('RPUSH', key, string.format('0 %.0f', log.base), new .. string.format('%.0f', log.total))
      redis.call('LTRIM', key, -2, -1)
      log.length, log.first = 2, 0
    elseif admitted and log.length == 0 then
      redis.call('RPUSH', key, '0 0')
    end
    if admitted then
      redis.call('RPUSH', key, new .. string.format('%.0f', log.total + cost))
      reply[3 * i - 1], reply[3 * i + 1] = reply[3 * i - 1] + cost, tonumber(window)
      if log.first > 0 then
        -- At most 1,000 at once, so that no call takes long. Each request adds only one.
        redis.call('LTRIM', key, math.min(log.first, 1000), -1)
      end
    end
    if admitted or log.healed then
      -- A millisecond more, as a TTL begins at a whole one.
      redis.call('PEXPIRE', key, window / 1000 + 1)
    end
  end
end
return reply

---- refund
-- Gives back what a request has taken, once.
-- KEYS: refund, then for each limit: requests
-- ARGV: refund TTL (ms), then for each limit: amount, window (us), unused
-- Replies: REFUNDED; or ALREADY
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {'ALREADY'}
end
local logs = {}
for i = 2, #KEYS do
  local key, length = KEYS[i], redis.call('LLEN', KEYS[i])
  if length > 0 then
    local last, total = entry(key, -1)
    local first = last_at_most(key, length, math.max(last, now) - ARGV[3 * i - 3], math.huge)
    local _, base = entry(key, first)
    -- The oldest of what is used leaves instead of the request itself. That never admits too many: the request, which did not
    -- happen, counts for longer than the older one would have.
    base = math.min(total, base + ARGV[3 * i - 4])
    logs[i] = {first = last_at_most(key, length, math.huge, base), base = string.format('0 %.0f', base)}
  end
end
require_commands('SET', 'LSET', 'LTRIM')
redis.call('SET', KEYS[1], '', 'PX', ARGV[1])
for i = 2, #KEYS do
  if logs[i] then
    redis.call('LSET', KEYS[i], logs[i].first, logs[i].base)
    redis.call('LTRIM', KEYS[i], logs[i].first, -1)
  end
end
return {'REFUNDED'}
