-- What each customer likes, and, the other way round, who likes a thing.
--
-- interests:user123 is a Set: the truth. interested:Books is a Sorted Set of the customers who said so last. Their scores
-- count up by one, so no clock decides who has to leave.

---- like
-- KEYS[1]: the Set of the customer
-- ARGV: the most interests there may be, interests
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
-- Makes a customer the newest who likes a thing. Doing it again changes nothing else.
--
-- KEYS[1]: the Sorted Set of the thing
-- ARGV: customer, how many customers stay, ms until the Sorted Set expires
local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
require_commands('ZADD', 'ZREMRANGEBYRANK', 'PEXPIRE')
redis.call('ZADD', KEYS[1], (tonumber(newest[2]) or 0) + 1, ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'INDEXED'}
