-- Puts notifications aside for a device: first those whose time with another has run out, then from the queue.
--
-- KEYS: waiting, taken, deadlines, sent, counts
-- ARGV: the most to take, for how many ms, TTL in ms
local most, hold, ttl = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
if unread == 0 or most == 0 then
  return {'TAKEN'}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local taken = {'TAKEN'}
for _, event in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, most)) do
  local notification = redis.call('HGET', KEYS[2], event)
  if notification then
    taken[#taken + 1] = notification
    redis.call('ZADD', KEYS[3], now + hold, event)
  else
    redis.call('ZREM', KEYS[3], event)
  end
end
while #taken <= most do
  local notification = redis.call('LINDEX', KEYS[1], -1)
  if not notification then
    break
  end
  local readable, fields = pcall(cjson.decode, notification)
  local event = readable and type(fields) == 'table' and fields.id
  if type(event) ~= 'string' then
    -- Somebody else's. What was taken before it stays with the device.
    return #taken > 1 and taken or {'MALFORMED', KEYS[1], notification}
  end
  redis.call('RPOP', KEYS[1])
  if redis.call('HSET', KEYS[2], event, notification) == 0 then
    -- Sent again after it was forgotten, while a device still has it: two have become one.
    redis.call('HINCRBY', KEYS[5], 'dropped', 1)
  end
  redis.call('ZADD', KEYS[3], now + hold, event)
  taken[#taken + 1] = notification
end
for i = 1, #KEYS do
  redis.call('PEXPIRE', KEYS[i], ttl)
end
return taken
