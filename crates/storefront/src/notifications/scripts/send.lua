-- Puts a notification into the queue, once for each event.
--
-- KEYS: waiting, taken, deadlines, sent, counts
-- ARGV: event, notification, cap, events to remember, TTL in ms
local event, cap, remembered, ttl = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
if redis.call('ZSCORE', KEYS[4], event) then
  return {'AGAIN', unread}
end

-- The oldest goes: the next to be taken. Only where all are with devices it is the one whose time there ends first.
local dropped = math.max(0, unread + 1 - cap)
local of_waiting = math.min(dropped, waiting)
local of_taken = dropped > of_waiting and redis.call('ZRANGE', KEYS[3], 0, dropped - of_waiting - 1) or {}
if #of_taken < dropped - of_waiting then
  return {'MALFORMED', KEYS[3], 'less than what was taken'}
end

local time = redis.call('TIME')
redis.call('HINCRBY', KEYS[5], 'sent', 1)
if dropped > 0 then
  redis.call('HINCRBY', KEYS[5], 'dropped', dropped)
end
redis.call('LPUSH', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[4], time[1] * 1000000 + time[2], event)
redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -1 - remembered)
for i = 1, #KEYS do
  redis.call('PEXPIRE', KEYS[i], ttl)
end
-- What is dropped leaves last: a key that this empties is gone, and while its slot moves a script that asks for a key which
-- is gone fails in its middle.
if of_waiting > 0 then
  redis.call('LTRIM', KEYS[1], 0, -1 - of_waiting)
end
for first = 1, #of_taken, 1000 do
  local last = math.min(first + 999, #of_taken)
  redis.call('ZREM', KEYS[3], unpack(of_taken, first, last))
  redis.call('HDEL', KEYS[2], unpack(of_taken, first, last))
end
return {'NEW', unread - dropped + 1, dropped}
