-- A bucket that gets tokens one at a time, kept as one time: when it is full again if nothing more is taken. (This is the generic
-- cell rate algorithm; the time is its "theoretical arrival time".)
--
-- Each limit has a String: that time in microseconds since 1970.

---- decide
-- Admits or refuses a request under all its limits at once.
-- KEYS: for each limit: time when full
-- ARGV: cost, take or peek, then for each limit: time in which the cost refills (us), time in which an empty bucket fills (us)
-- Replies: ADMITTED or REFUSED, then for each limit: time until the bucket is full (us)
local time = redis.call('TIME')
local now, reply, healed = time[1] * 1000000 + time[2], {'ADMITTED'}, false
for i = 1, #KEYS do
  local cost, empty, wait = ARGV[2 * i + 1], tonumber(ARGV[2 * i + 2]), 0
  local stored = redis.call('GET', KEYS[i])
  if stored then
    wait = whole(stored, KEYS[i], 'is no time') - now
    if wait < 0 then
      wait = 0
    elseif wait > empty then
      -- No bucket is emptier than empty. The clock was set back, and the next token must not wait until it has caught up.
      wait, healed = empty, true
    end
  end
  if wait + cost > empty then
    reply[1] = 'REFUSED'
  end
  reply[i + 1] = wait
end

-- SET is the only command that writes, so a user who may not run it leaves no half of a decision.
if ARGV[2] == 'take' and (healed or reply[1] == 'ADMITTED') then
  for i = 1, #KEYS do
    local wait = reply[i + 1]
    if reply[1] == 'ADMITTED' then
      wait = wait + ARGV[2 * i + 1]
      reply[i + 1] = wait
    end
    if wait > 0 then
      -- Rounded up, and a millisecond more, as a TTL begins at a whole one.
      redis.call('SET', KEYS[i], now + wait, 'PX', math.ceil(wait / 1000) + 1)
    end
  end
end
return reply

---- refund
-- Gives back what a request has taken, once.
-- KEYS: refund, then for each limit: time when full
-- ARGV: refund TTL (ms), then for each limit: time in which the amount refills (us), unused, unused
-- Replies: REFUNDED; or ALREADY
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {'ALREADY'}
end
local full = {}
for i = 2, #KEYS do
  local stored = redis.call('GET', KEYS[i])
  if stored then
    -- A time that is past is a full bucket.
    full[i] = whole(stored, KEYS[i], 'is no time') - ARGV[3 * i - 4]
  end
end
redis.call('SET', KEYS[1], '', 'PX', ARGV[1])
for i = 2, #KEYS do
  if full[i] then
    redis.call('SET', KEYS[i], math.max(0, full[i]), 'KEEPTTL')
  end
end
return {'REFUNDED'}
