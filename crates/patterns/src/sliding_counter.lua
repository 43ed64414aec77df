-- Counts in windows of the wall clock. The previous window counts by the part of it that a window ending now would still cover.
--
-- Each limit has a String: when the current window began in ms since 1970, the count of the previous window, and its own count.

---- decide
-- Admits or refuses a request under all its limits at once.
-- KEYS: for each limit: counts
-- ARGV: cost, take or peek, then for each limit: quota, window (ms)
-- Replies: ADMITTED or REFUSED, then for each limit: count of the previous window, count of this one, time since it began (ms)
local cost, now = tonumber(ARGV[1]), now_ms()
local reply, healed = {'ADMITTED'}, false
for i = 1, #KEYS do
  local quota, window = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
  local elapsed, previous, current = now % window, 0, 0
  local stored = redis.call('GET', KEYS[i])
  if stored then
    local began, before, counted = string.match(stored, '^(%d+) (%d+) (%d+)$')
    if not began then
      error({err = 'MALFORMED ' .. KEYS[i] .. ' is not three numbers'})
    end
    local late = began - (now - elapsed)
    if late >= 0 then
      previous, current = tonumber(before), tonumber(counted)
      -- The clock was set back: what was counted counts as of now, and is written so even if the request is refused.
      healed = healed or late > 0
    elseif late == -window then
      previous = tonumber(counted)
    end
  end
  -- In requests times milliseconds, so that nothing is rounded: below 2^53.
  if (quota - current - cost) * window < previous * (window - elapsed) then
    reply[1] = 'REFUSED'
  end
  reply[3 * i - 1], reply[3 * i], reply[3 * i + 1] = previous, current, elapsed
end

-- SET is the only command that writes, so a user who may not run it leaves no half of a decision.
if ARGV[2] == 'take' and (healed or reply[1] == 'ADMITTED') then
  for i = 1, #KEYS do
    local window, elapsed = ARGV[2 * i + 2], reply[3 * i + 1]
    if reply[1] == 'ADMITTED' then
      reply[3 * i] = reply[3 * i] + cost
    end
    if reply[3 * i - 1] + reply[3 * i] > 0 then
      local value = string.format('%.0f %d %d', now - elapsed, reply[3 * i - 1], reply[3 * i])
      -- Until the window after this one is over. A millisecond more, as a TTL begins at a whole one.
      redis.call('SET', KEYS[i], value, 'PX', 2 * window - elapsed + 1)
    end
  end
end
return reply

---- refund
-- Gives back what a request has taken, once.
-- KEYS: refund, then for each limit: counts
-- ARGV: refund TTL (ms), then for each limit: amount, time since the request (ms), window (ms)
-- Replies: REFUNDED; or ALREADY
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {'ALREADY'}
end
local now, values = now_ms(), {}
for i = 2, #KEYS do
  local cost, taken, window = tonumber(ARGV[3 * i - 4]), now - ARGV[3 * i - 3], tonumber(ARGV[3 * i - 2])
  local stored = redis.call('GET', KEYS[i])
  if stored and cost > 0 then
    local began, before, counted = string.match(stored, '^(%d+) (%d+) (%d+)$')
    if not began then
      error({err = 'MALFORMED ' .. KEYS[i] .. ' is not three numbers'})
    end
    if taken >= tonumber(began) then
      counted = math.max(0, counted - cost)
    elseif taken >= began - window then
      before = math.max(0, before - cost)
    end
    values[i] = began .. ' ' .. string.format('%d %d', before, counted)
  end
end
redis.call('SET', KEYS[1], '', 'PX', ARGV[1])
for i = 2, #KEYS do
  if values[i] then
    redis.call('SET', KEYS[i], values[i], 'KEEPTTL')
  end
end
return {'REFUNDED'}
