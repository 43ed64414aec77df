-- Opens an order, unless it is there.
--
-- KEYS: the order
-- ARGV: ms for which an order that gets no further is kept, then fields and values
local stored = redis.call('HGETALL', KEYS[1])
if #stored > 0 then
  return {'ORDER', 0, stored}
end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {'ORDER', 1, redis.call('HGETALL', KEYS[1])}
