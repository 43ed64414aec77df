-- Opens an order, unless it is there. Where its time is over already, a recovery may have passed over its id, and would
-- never find it.
--
-- KEYS: the order
-- ARGV: ms for which an order that gets no further is kept, when the recovery looks after it, then fields and values
local stored = redis.call('HGETALL', KEYS[1])
if #stored > 0 then
  return {'ORDER', 0, stored}
end
local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) >= tonumber(ARGV[2]) then
  return {'LATE'}
end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {'ORDER', 1, redis.call('HGETALL', KEYS[1])}
