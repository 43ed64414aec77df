-- Writes what a product's outbox had at some change, unless a later change was delivered already: again, and late, does no
-- harm.
--
-- KEYS: the list of updates, the low-stock alerts, the last change of each product that was delivered
-- ARGV: product, entries that the list of updates keeps, the number of the product's last change,
--       units free while the alert is raised or '', then the entries, oldest first
local product, keeps, changes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('LLEN', KEYS[1])
redis.call('ZCARD', KEYS[2])
local seen = tonumber(redis.call('HGET', KEYS[3], product) or 0)
if not seen then
  return {'MALFORMED', KEYS[3], product}
end
if changes <= seen then
  return {'DELIVERED', 0}
end
local fresh = 0
for i = 5, #ARGV do
  -- What somebody else has put into the outbox has no number, and is passed over.
  if tonumber(string.match(ARGV[i], '^{"n":(%d+)') or 0) > seen then
    redis.call('LPUSH', KEYS[1], ARGV[i])
    fresh = fresh + 1
  end
end
redis.call('LTRIM', KEYS[1], 0, keeps - 1)
if ARGV[4] == '' then
  redis.call('ZREM', KEYS[2], product)
else
  redis.call('ZADD', KEYS[2], ARGV[4], product)
end
redis.call('HSET', KEYS[3], product, ARGV[3])
return {'DELIVERED', fresh}
