-- What each customer likes, and who likes a thing.
--
-- interests:user123 is a Set, and the source of truth. interested:Books is a Sorted Set of the last customers who liked Books.
-- Their scores count up by one, so no clock decides which customers are dropped.

---- like
-- Adds interests to a customer, all or none.
-- KEYS: interests of the customer
-- ARGV: max interests, then for each interest: name
-- Replies: LIKED, new interests; or TOO_MANY
local new = 0
for _, known in ipairs(redis.call('SMISMEMBER', KEYS[1], unpack(ARGV, 2))) do
  new = new + 1 - known
end
if redis.call('SCARD', KEYS[1]) + new > tonumber(ARGV[1]) then
  return {'TOO_MANY'}
end
if new > 0 then
  require_commands('SADD')
  redis.call('SADD', KEYS[1], unpack(ARGV, 2))
end
return {'LIKED', new}

---- index
-- Makes a customer the newest who likes a thing. A second call changes nothing else.
-- KEYS: customers who like the thing
-- ARGV: customer, max customers, TTL (ms)
-- Replies: INDEXED
local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
require_commands('ZADD', 'ZREMRANGEBYRANK', 'PEXPIRE')
redis.call('ZADD', KEYS[1], (tonumber(newest[2]) or 0) + 1, ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'INDEXED'}
