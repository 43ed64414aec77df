-- Counts each event once, on the day it happened.
--
-- daily_metrics:2024-01-01 is a Hash: metric to number. Two fields begin with a colon: ":closes" is the moment in ms from
-- which no more events are counted, and ":inexact" is there if a key of the day was lost. The ids companion holds the IDs of
-- the events that were counted, while the day is open; the visitors companion is a HyperLogLog.
--
-- top_products:2024-01-01 is a root of its own: a Sorted Set of products by cents. Its orders companion holds the IDs of the
-- orders that were counted there.

---- record
-- Counts one event on its day, once.
-- KEYS: metrics, ids, visitors
-- ARGV: event ID, visitor or '', time the day stays open (ms), TTL (ms), max IDs, number of metrics, then for each metric: name,
--   then for each metric: amount
-- Replies: COUNTED; or DUPLICATE; or TOO_LATE; or FULL; or OVERFLOW, metric
local now, open_for, metrics = now_ms(), tonumber(ARGV[3]), tonumber(ARGV[6])
local stored = redis.call('HMGET', KEYS[1], ':closes', unpack(ARGV, 7, 6 + metrics))
local ids = redis.call('SCARD', KEYS[2])
local visitors = redis.call('STRLEN', KEYS[3])
local closes = stored[1] and whole(stored[1], KEYS[1], ':closes')
if closes and closes <= now then
  return {'TOO_LATE'}
elseif redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 1 then
  return {'DUPLICATE'}
elseif ids >= tonumber(ARGV[5]) then
  return {'FULL'}
end
for i = 1, metrics do
  local had = stored[i + 1] or '0'
  if not string.find(had, '^%-?%d+$') then
    error({err = 'MALFORMED ' .. KEYS[1] .. ' ' .. ARGV[6 + i]})
  end
  -- The numbers of a script are exact below 2^53.
  if math.abs(had + ARGV[6 + metrics + i]) >= 9007199254740992 then
    return {'OVERFLOW', ARGV[6 + i]}
  end
end

local begins = not closes or closes > now + open_for or ids == 0 or visitors == 0 and ARGV[2] ~= ''
require_commands('PFADD', 'SADD', 'HINCRBY')
if begins then
  require_commands('HSET', 'PEXPIRE', 'PEXPIREAT')
end
-- PFADD first: it alone can still fail, if the text there is no HyperLogLog.
if ARGV[2] ~= '' then
  redis.call('PFADD', KEYS[3], ARGV[2])
end
redis.call('SADD', KEYS[2], ARGV[1])
for i = 7, 6 + metrics do
  redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[metrics + i])
end
if begins then
  if closes and ids == 0 or not closes and ids > 0 then
    redis.call('HSET', KEYS[1], ':inexact', '1')
  end
  -- If the clock was ahead when the day began, it would be open for too long.
  closes = math.min(closes or now + open_for, now + open_for)
  redis.call('HSET', KEYS[1], ':closes', string.format('%.0f', closes))
  redis.call('PEXPIRE', KEYS[1], ARGV[4], 'NX')
  if ARGV[2] ~= '' then
    redis.call('PEXPIRE', KEYS[3], ARGV[4], 'NX')
  end
  -- Later than the day closes, so that the IDs are there as long as they are needed.
  redis.call('PEXPIREAT', KEYS[2], string.format('%.0f', closes + 60000))
end
return {'COUNTED'}

---- close
-- Closes a day: no more events are counted.
-- KEYS: metrics, ids
-- ARGV: TTL (ms)
-- Replies: CLOSED
redis.call('HLEN', KEYS[1])
redis.call('SCARD', KEYS[2])
require_commands('UNLINK', 'HSET', 'PEXPIRE')
-- UNLINK first: then the rest is allowed, too, when memory is full.
redis.call('UNLINK', KEYS[2])
redis.call('HSET', KEYS[1], ':closes', '0')
redis.call('PEXPIRE', KEYS[1], ARGV[1], 'NX')
return {'CLOSED'}

---- products
-- Adds one order to the revenue of its products, once. Each SKU comes once.
-- KEYS: products by revenue, orders
-- ARGV: event ID, TTL of the orders (ms), TTL of the products (ms), then for each product: SKU, cents
-- Replies: COUNTED; or DUPLICATE; or OVERFLOW, SKU
if redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 1 then
  return {'DUPLICATE'}
end
local skus = {}
for i = 4, #ARGV, 2 do
  skus[#skus + 1] = ARGV[i]
end
for i, score in ipairs(redis.call('ZMSCORE', KEYS[1], unpack(skus))) do
  if score and score + ARGV[2 * i + 3] >= 9007199254740992 then
    return {'OVERFLOW', skus[i]}
  end
end
require_commands('SADD', 'ZINCRBY', 'PEXPIRE')
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
for i = 4, #ARGV, 2 do
  redis.call('ZINCRBY', KEYS[1], ARGV[i + 1], ARGV[i])
end
redis.call('PEXPIRE', KEYS[1], ARGV[3], 'NX')
return {'COUNTED'}

---- day
-- Reads a day.
-- KEYS: metrics, visitors
-- ARGV: 1 to reply with the HyperLogLog too
-- Replies: DAY, time now (ms), fields and values (list), visitors, HyperLogLog
local now = now_ms()
local fields = redis.call('HGETALL', KEYS[1])
local visitors = redis.call('PFCOUNT', KEYS[2])
local copy = ARGV[1] == '1' and redis.call('GET', KEYS[2])
return {'DAY', string.format('%.0f', now), fields, visitors, copy}
