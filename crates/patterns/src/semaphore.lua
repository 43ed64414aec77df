-- A semaphore:
--
--   holders    Sorted Set: token:1 to token:permits, scored by the millisecond at which the lease ends
--   waiters    Sorted Set: token:permits, scored by the order of arrival
--   last_asks  Sorted Set: token:permits, scored by the millisecond until which a waiter has to ask again

---- acquire
-- Takes permits if all who wait already can have theirs, too. Otherwise it waits in line.
-- KEYS: holders, waiters, last_asks
-- ARGV: token, permits, capacity, lease (ms), grace of a waiter (ms) or 0 not to wait, max waiters
-- Replies: ACQUIRED; or FULL, free permits, waiters ahead
local permits, now = tonumber(ARGV[2]), now_ms()
local waiter = ARGV[1] .. ':' .. permits
local free = ARGV[3] - redis.call('ZCOUNT', KEYS[1], string.format('(%.0f', now), '+inf')
local mine = redis.call('ZSCORE', KEYS[1], waiter)
local longest = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
local waiting, newest = redis.call('ZCARD', KEYS[2]), redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2]

-- Each waiter wants at least one permit, so those behind the first few cannot go now. A waiter that no longer asks is gone.
local line = redis.call('ZRANGE', KEYS[2], 0, math.max(free, 0) + 100)
local ahead, wanted, gone, found = 0, 0, {}, false
local last_asks = redis.call('ZMSCORE', KEYS[3], waiter, unpack(line))
for i = 1, #line do
  if line[i] == waiter then
    found = true
    break
  elseif tonumber(last_asks[i + 1] or 0) > now then
    ahead, wanted = ahead + 1, wanted + (tonumber(string.match(line[i], ':(%d+)$')) or 0)
  else
    gone[#gone + 1] = line[i]
  end
end
local sees_all = found or #line == waiting

require_commands('ZADD', 'PEXPIRE', 'ZREM', 'ZREMRANGEBYSCORE')
-- Add before removing: an empty set is gone, and while its slot moves, a script that touches a key it has emptied fails.
if mine and tonumber(mine) > now or sees_all and wanted + permits <= free then
  local ends, members = now + ARGV[4], {}
  for i = 1, permits do
    members[2 * i - 1], members[2 * i] = string.format('%.0f', ends), ARGV[1] .. ':' .. i
  end
  redis.call('ZADD', KEYS[1], unpack(members))
  -- The set lives as long as the longest lease in it.
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(ends, tonumber(longest or 0)) - now))
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
  gone[#gone + 1] = waiter
  redis.call('ZREM', KEYS[2], unpack(gone))
  redis.call('ZREM', KEYS[3], unpack(gone))
  return {'ACQUIRED'}
end
if tonumber(ARGV[5]) > 0 and (found or waiting < tonumber(ARGV[6])) then
  redis.call('ZADD', KEYS[2], 'NX', (newest or 0) + 1, waiter)
  redis.call('ZADD', KEYS[3], string.format('%.0f', now + ARGV[5]), waiter)
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
  redis.call('PEXPIRE', KEYS[3], ARGV[5])
end
if #gone > 0 then
  redis.call('ZREM', KEYS[2], unpack(gone))
  redis.call('ZREM', KEYS[3], unpack(gone))
end
return {'FULL', math.max(free, 0), sees_all and ahead or waiting}

---- renew
-- Begins the lease of permits again, for their holder only.
-- KEYS: holders
-- ARGV: token, permits, lease (ms)
-- Replies: RENEWED; or LOST
local now = now_ms()
local mine = redis.call('ZSCORE', KEYS[1], ARGV[1] .. ':' .. ARGV[2])
local longest = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
if not mine or tonumber(mine) <= now then
  return {'LOST'}
end
require_commands('ZADD', 'PEXPIRE')
local ends, members = now + ARGV[3], {}
for i = 1, ARGV[2] do
  members[2 * i - 1], members[2 * i] = string.format('%.0f', ends), ARGV[1] .. ':' .. i
end
redis.call('ZADD', KEYS[1], unpack(members))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(ends, tonumber(longest)) - now))
return {'RENEWED'}

---- release
-- Gives permits back, and gives up the place in line.
-- KEYS: holders, waiters, last_asks
-- ARGV: token, permits
-- Replies: RELEASED; or NOT_HELD
local waiter, members = ARGV[1] .. ':' .. ARGV[2], {}
local mine, now = redis.call('ZSCORE', KEYS[1], waiter), now_ms()
redis.call('ZCARD', KEYS[2])
redis.call('ZCARD', KEYS[3])
require_commands('ZREM')
for i = 1, ARGV[2] do
  members[i] = ARGV[1] .. ':' .. i
end
redis.call('ZREM', KEYS[1], unpack(members))
redis.call('ZREM', KEYS[2], waiter)
redis.call('ZREM', KEYS[3], waiter)
return {mine and tonumber(mine) > now and 'RELEASED' or 'NOT_HELD'}

---- sweep
-- Removes permits whose lease has ended, and waiters who no longer ask. What is left is valid, however old it is.
-- KEYS: holders, waiters, last_asks
-- Replies: SWEPT, permits held, waiters, permits removed
local now = now_ms()
local held = redis.call('ZCOUNT', KEYS[1], string.format('(%.0f', now), '+inf')
local ended = redis.call('ZCARD', KEYS[1]) - held
local waiting = redis.call('ZCARD', KEYS[2])
local gone = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', now), 'LIMIT', 0, 1000)
require_commands('ZREM', 'ZREMRANGEBYSCORE')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local removed = 0
if #gone > 0 then
  removed = redis.call('ZREM', KEYS[2], unpack(gone))
  redis.call('ZREM', KEYS[3], unpack(gone))
end
return {'SWEPT', held, waiting - removed, ended}
