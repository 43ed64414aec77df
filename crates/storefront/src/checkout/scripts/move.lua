-- Moves an order from one state to another: of all who want to decide, one does.
--
-- KEYS: the order
-- ARGV: from, to, ms for which the order is kept from now on or '' if until it is finished, then more fields and values
local stored = redis.call('HGETALL', KEYS[1])
if #stored == 0 then
  return {'UNKNOWN'}
end
if redis.call('HGET', KEYS[1], 'state') ~= ARGV[1] then
  return {'ORDER', 0, stored}
end
redis.call('HSET', KEYS[1], 'state', ARGV[2], unpack(ARGV, 4))
if ARGV[3] == '' then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return {'ORDER', 1, redis.call('HGETALL', KEYS[1])}
