-- Counts an order for one of its products, unless it was counted for that product before.
--
-- also_bought:PROD123 is a Sorted Set: each product, scored by the orders it shared with PROD123. PROD123 itself is a member,
-- too. Its score is the number of its orders, which no other score can exceed. The orders companion holds the IDs of the last
-- orders, scored by a number that counts up, so no clock decides which orders are forgotten.
--
-- KEYS: neighbors of the product, orders
-- ARGV: order ID, max neighbors, max orders remembered, TTL (ms), then for each product of the order: SKU
-- Replies: COUNTED; or DUPLICATE
local size = redis.call('ZCARD', KEYS[1])
local newest = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if redis.call('ZSCORE', KEYS[2], ARGV[1]) then
  return {'DUPLICATE'}
end
require_commands('ZADD', 'ZREMRANGEBYRANK', 'ZINCRBY', 'PEXPIRE')
redis.call('ZADD', KEYS[2], (tonumber(newest[2]) or 0) + 1, ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - ARGV[3])
for i = 5, #ARGV do
  redis.call('ZINCRBY', KEYS[1], 1, ARGV[i])
end
-- Cut only at twice the limit, so that a new neighbor has time to be bought again.
if size > 2 * ARGV[2] then
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return {'COUNTED'}
