-- The notifications of one customer:
--
--   waiting    List of notifications as JSON, the newest first
--   taken      Hash: ID -> a notification that a device took and has not acknowledged
--   deadlines  Sorted Set: ID, scored by the millisecond at which it is delivered again
--   sent       Sorted Set: the last IDs, scored by their order, because a clock can be set back
--   counts     Hash: sent, read

---- read
-- Reads the sizes of all keys. A key of another type ends the script here.
local waiting, taken, dated = redis.call('LLEN', KEYS[1]), redis.call('HLEN', KEYS[2]), redis.call('ZCARD', KEYS[3])
redis.call('ZCARD', KEYS[4])
redis.call('HLEN', KEYS[5])
-- Each notification is either waiting or with a device.
local unread = waiting + taken

---- send
-- Adds a notification, once per ID.
-- KEYS: waiting, taken, deadlines, sent, counts
-- ARGV: ID, notification, max unread, max IDs to remember, TTL (ms)
-- Replies: NEW, unread, dropped; or AGAIN, unread
local cap, ttl = tonumber(ARGV[3]), ARGV[5]
if redis.call('ZSCORE', KEYS[4], ARGV[1]) then
  return {'AGAIN', unread}
end
local last = redis.call('ZRANGE', KEYS[4], -1, -1, 'WITHSCORES')[2] or 0
-- The oldest is dropped: the next to be taken. If all are with devices, it is the one whose time there ends first.
local dropped = math.max(0, unread + 1 - cap)
local of_waiting = math.min(dropped, waiting)
local of_taken = {}
if dropped > of_waiting then
  of_taken = redis.call('ZRANGE', KEYS[3], 0, dropped - of_waiting - 1)
  if #of_taken < dropped - of_waiting then
    -- The deadlines were lost.
    of_taken = redis.call('HRANDFIELD', KEYS[2], dropped - of_waiting)
  end
end
require_commands('LPUSH', 'ZADD', 'ZREMRANGEBYRANK', 'HINCRBY', 'PEXPIRE', 'LTRIM', 'ZREM', 'HDEL')
redis.call('LPUSH', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[4], last + 1, ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -1 - ARGV[4])
redis.call('HINCRBY', KEYS[5], 'sent', 1)
for i = 1, #KEYS do
  redis.call('PEXPIRE', KEYS[i], ttl)
end
-- What is dropped leaves last: an empty key is gone, and while its slot moves, a script that touches it again fails.
if of_waiting > 0 then
  redis.call('LTRIM', KEYS[1], 0, -1 - of_waiting)
end
for first = 1, #of_taken, 1000 do
  local until_here = math.min(first + 999, #of_taken)
  redis.call('ZREM', KEYS[3], unpack(of_taken, first, until_here))
  redis.call('HDEL', KEYS[2], unpack(of_taken, first, until_here))
end
return {'NEW', unread - dropped + 1, dropped}

---- take
-- Hands notifications to a device, the oldest first, and holds them for it until it acknowledges them.
-- KEYS: waiting, taken, deadlines, sent, counts
-- ARGV: max notifications, hold (ms), TTL (ms)
-- Replies: TAKEN, then for each notification: notification
local most, hold, ttl = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
if unread == 0 or most == 0 then
  return {'TAKEN'}
end
local now = now_ms()

-- If the clock was set back, deadlines lie further ahead than this device's hold. They are moved to its end. If the deadlines
-- were lost, what was taken is due now.
local later, due = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. now + hold, '+inf', 'LIMIT', 0, 1000), {}
if dated < taken then
  for _, id in ipairs(redis.call('HKEYS', KEYS[2])) do
    if #due < most and not redis.call('ZSCORE', KEYS[3], id) then
      due[#due + 1] = id
    end
  end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, most - #due)) do
  due[#due + 1] = id
end

local answer, held, lost, fields = {'TAKEN'}, {}, {}, {}
for _, id in ipairs(due) do
  local notification = redis.call('HGET', KEYS[2], id)
  if notification then
    answer[#answer + 1], held[#held + 1] = notification, id
  else
    lost[#lost + 1] = id
  end
end
local moved, room = 0, most - #held
-- The oldest stands last.
local oldest = room > 0 and redis.call('LRANGE', KEYS[1], -room, -1) or {}
for i = #oldest, 1, -1 do
  local readable, content = pcall(cjson.decode, oldest[i])
  local id = readable and type(content) == 'table' and content.id
  if type(id) ~= 'string' then
    -- Another program wrote it. What was taken before it goes to the device.
    if #answer == 1 then
      error({err = 'MALFORMED ' .. KEYS[1] .. ' ' .. oldest[i]})
    end
    break
  end
  answer[#answer + 1], held[#held + 1] = oldest[i], id
  fields[#fields + 1], fields[#fields + 2] = id, oldest[i]
  moved = moved + 1
end

require_commands('PEXPIRE', 'HSET', 'ZADD', 'LTRIM', 'ZREM')
-- First a command that is allowed when memory is full: what was taken can be acknowledged, which frees memory.
redis.call('PEXPIRE', KEYS[5], ttl)
if moved > 0 then
  redis.call('HSET', KEYS[2], unpack(fields))
end
for _, id in ipairs(later) do
  redis.call('ZADD', KEYS[3], now + hold, id)
end
for _, id in ipairs(held) do
  redis.call('ZADD', KEYS[3], now + hold, id)
end
for i = 1, 4 do
  redis.call('PEXPIRE', KEYS[i], ttl)
end
if moved > 0 then
  redis.call('LTRIM', KEYS[1], 0, -1 - moved)
end
if #lost > 0 then
  redis.call('ZREM', KEYS[3], unpack(lost))
end
return answer

---- acknowledge
-- Marks notifications that a device took as read.
-- KEYS: waiting, taken, deadlines, sent, counts
-- ARGV: TTL (ms), then for each notification: ID
-- Replies: READ, notifications
local known = 0
local entries = redis.call('HMGET', KEYS[2], unpack(ARGV, 2))
for i = 1, #entries do
  known = known + (entries[i] and 1 or 0)
end
if known == 0 then
  return {'READ', 0}
end
require_commands('HDEL', 'ZREM', 'HINCRBY', 'PEXPIRE')
-- An ID that is given twice counts once.
local read = redis.call('HDEL', KEYS[2], unpack(ARGV, 2))
redis.call('ZREM', KEYS[3], unpack(ARGV, 2))
redis.call('HINCRBY', KEYS[5], 'read', read)
redis.call('PEXPIRE', KEYS[5], ARGV[1])
return {'READ', read}

---- mark_all_read
-- Marks all notifications as read, waiting or taken.
-- KEYS: waiting, taken, deadlines, sent, counts
-- ARGV: TTL (ms)
-- Replies: READ, notifications
if unread > 0 then
  require_commands('UNLINK', 'HINCRBY', 'PEXPIRE')
  -- One by one: where a slot arrives, a command with several keys fails if one of them is not there.
  for i = 1, 3 do
    redis.call('UNLINK', KEYS[i])
  end
  redis.call('HINCRBY', KEYS[5], 'read', unread)
  redis.call('PEXPIRE', KEYS[5], ARGV[1])
end
return {'READ', unread}

---- counts
-- Counts sent, unread, and read notifications.
-- KEYS: waiting, taken, deadlines, sent, counts
-- Replies: COUNTS, sent, unread, read
local counts = redis.call('HMGET', KEYS[5], 'sent', 'read')
return {'COUNTS', counts[1] or 0, unread, counts[2] or 0}
