-- Replaces a week with the sums of its days. The days are in other slots, so their sums come as arguments.

---- metrics
-- Replaces the metrics and the visitors of a week. The scratch key does not exist when a script begins. So while the slot moves,
-- the server lets this script wait (TRYAGAIN).
-- KEYS: metrics, visitors, scratch key for the visitors of one day
-- ARGV: TTL (ms), number of fields, then for each field: field, number, then for each day: HyperLogLog
-- Replies: REPLACED, visitors
local last = 2 + 2 * ARGV[2]
local stale, copies = {}, #ARGV - last
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  stale[field] = true
end
redis.call('STRLEN', KEYS[2])
redis.call('STRLEN', KEYS[3])
require_commands('SET', 'PFMERGE', 'HSET', 'HDEL', 'PEXPIRE', 'PFCOUNT', 'UNLINK')
redis.call('HSET', KEYS[1], unpack(ARGV, 3, last))
for i = 3, last, 2 do
  stale[ARGV[i]] = nil
end
for field in pairs(stale) do
  redis.call('HDEL', KEYS[1], field)
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
if copies == 0 then
  redis.call('UNLINK', KEYS[2])
  return {'REPLACED', 0}
end
redis.call('SET', KEYS[2], ARGV[last + 1], 'PX', ARGV[1])
for i = last + 2, #ARGV do
  redis.call('SET', KEYS[3], ARGV[i])
  redis.call('PFMERGE', KEYS[2], KEYS[3])
end
local visitors = redis.call('PFCOUNT', KEYS[2])
if copies > 1 then
  redis.call('UNLINK', KEYS[3])
end
return {'REPLACED', visitors}

---- week
-- Reads a week in one step.
-- KEYS: metrics, visitors
-- Replies: WEEK, fields and numbers, visitors
return {'WEEK', redis.call('HGETALL', KEYS[1]), redis.call('PFCOUNT', KEYS[2])}

---- products
-- Replaces the products of a week.
-- KEYS: products
-- ARGV: TTL (ms), then for each product: revenue (cents), SKU
-- Replies: REPLACED
local stale = {}
for _, sku in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  stale[sku] = true
end
require_commands('ZADD', 'ZREM', 'PEXPIRE')
if #ARGV > 1 then
  redis.call('ZADD', KEYS[1], unpack(ARGV, 2))
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
for i = 3, #ARGV, 2 do
  stale[ARGV[i]] = nil
end
local gone = {}
for sku in pairs(stale) do
  gone[#gone + 1] = sku
end
if #gone > 0 then
  redis.call('ZREM', KEYS[1], unpack(gone))
end
return {'REPLACED'}
