-- Puts a notification into the queue, once for each event.
--
-- KEYS: waiting, taken, deadlines, sent, counts
-- ARGV: event, notification, cap, events to remember, TTL in ms
local event, cap, remembered, ttl = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
if redis.call('ZSCORE', KEYS[4], event) then
  return {'AGAIN', unread}
end

local dropped = 0
while unread - dropped >= cap do
  -- The oldest goes: the next to be taken. Only where all are with devices it is the one whose time there ends first.
  if not redis.call('RPOP', KEYS[1]) then
    local first = redis.call('ZPOPMIN', KEYS[3])[1]
    if not first then
      return {'MALFORMED', KEYS[3], 'less than what was taken'}
    end
    redis.call('HDEL', KEYS[2], first)
  end
  dropped = dropped + 1
end

local time = redis.call('TIME')
redis.call('LPUSH', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[4], time[1] * 1000000 + time[2], event)
redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -1 - remembered)
redis.call('HINCRBY', KEYS[5], 'sent', 1)
if dropped > 0 then
  redis.call('HINCRBY', KEYS[5], 'dropped', dropped)
end
for i = 1, #KEYS do
  redis.call('PEXPIRE', KEYS[i], ttl)
end
return {'NEW', unread - dropped + 1, dropped}
