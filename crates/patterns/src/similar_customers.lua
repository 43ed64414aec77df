-- Makes members the newest of a Sorted Set, and drops the oldest. A second call changes nothing else.
--
-- purchases:user123 holds the SKUs that a customer bought, buyers:PROD123 the customers who bought a product. The scores count
-- up by one with each call, so no clock decides which members are dropped.
--
-- KEYS: members
-- ARGV: max members, TTL (ms), then for each member: member
-- Replies: REMEMBERED
local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
require_commands('ZADD', 'ZREMRANGEBYRANK', 'PEXPIRE')
local score = (tonumber(newest[2]) or 0) + 1
for i = 3, #ARGV do
  redis.call('ZADD', KEYS[1], score, ARGV[i])
end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'REMEMBERED'}
