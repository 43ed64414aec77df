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

local taken, lost = {'TAKEN'}, {}
for _, event in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, most)) do
  local notification = redis.call('HGET', KEYS[2], event)
  if notification then
    taken[#taken + 1] = notification
    redis.call('ZADD', KEYS[3], now + hold, event)
  else
    lost[#lost + 1] = event
  end
end
local again, moved = #taken, 0
-- The oldest stands last.
local oldest = again <= most and redis.call('LRANGE', KEYS[1], again - 1 - most, -1) or {}
for i = #oldest, 1, -1 do
  local notification = oldest[i]
  local readable, fields = pcall(cjson.decode, notification)
  local event = readable and type(fields) == 'table' and fields.id
  if type(event) ~= 'string' then
    -- Somebody else's. What was taken before it stays with the device.
    if #taken == 1 then
      return {'MALFORMED', KEYS[1], notification}
    end
    break
  end
  if redis.call('HSET', KEYS[2], event, notification) == 0 then
    -- Sent again after it was forgotten, while a device still has it: two have become one.
    redis.call('HINCRBY', KEYS[5], 'dropped', 1)
  end
  redis.call('ZADD', KEYS[3], now + hold, event)
  taken[#taken + 1] = notification
  moved = moved + 1
end
for i = 1, #KEYS do
  redis.call('PEXPIRE', KEYS[i], ttl)
end
-- What was taken leaves the queue last: a List without values is gone, and while its slot moves a script that asks for a key
-- which is gone fails in its middle.
if moved > 0 then
  redis.call('LTRIM', KEYS[1], 0, -1 - moved)
end
if #lost > 0 then
  redis.call('ZREM', KEYS[3], unpack(lost))
end
return taken
