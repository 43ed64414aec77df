-- Products by their views, where a view counts half after each half-life.
--
-- A view at moment t adds 2^(t / half-life) to a product's sum: old views never shrink, new ones weigh more. The sums would
-- soon be too large for a number, so the Sorted Set holds their logarithms to base 2, and nothing ever has to be rewritten.
--
-- The clock companion remembers when it was asked last (at) and how far the moments are ahead of the server's clock (ahead,
-- normally 0). If the clock is set back, the moments go on from where they were. Otherwise the views of the wrong future
-- would beat all others until the clock is there again.

---- view
-- Counts one view of a product.
-- KEYS: products, clock
-- ARGV: SKU, log2 of the weight, half-life (ms), max products
-- Replies: VIEWED
local now, half_life, most = now_ms(), tonumber(ARGV[3]), tonumber(ARGV[4])
local stored = redis.call('HMGET', KEYS[2], 'at', 'ahead')
local size = redis.call('ZCARD', KEYS[1])
local score = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or nil)

-- What another program wrote there is ignored and replaced.
local at, ahead = tonumber(stored[1] or nil), tonumber(stored[2] or nil)
at, ahead = at and at < 2 ^ 52 and at, ahead and ahead >= 0 and ahead < 2 ^ 52 and ahead or 0
if at and at > now then
  ahead = ahead + at - now
end
local view = (now + ahead) / half_life + ARGV[2]
if score and score < 2 ^ 52 then
  local high, low = math.max(score, view), math.min(score, view)
  view = high + math.log(1 + 2 ^ (low - high)) / math.log(2)
end

local full, refresh = size >= most * 1.1, not at or at > now or now - at > 60000 or size == 0
require_commands('ZADD')
if full or refresh then
  require_commands('ZREMRANGEBYRANK', 'HSET', 'PEXPIRE')
end
redis.call('ZADD', KEYS[1], view, ARGV[1])
-- A tenth more than there may be, so that a newcomer has time to gather views.
if full then
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, math.min(size - most, 1000) - 1)
end
if refresh then
  redis.call('HSET', KEYS[2], 'at', string.format('%.0f', now), 'ahead', string.format('%.0f', ahead))
  -- After 64 half-lives nothing is left of a view.
  local ttl = string.format('%.0f', math.max(64 * half_life, 86400000))
  redis.call('PEXPIRE', KEYS[1], ttl)
  redis.call('PEXPIRE', KEYS[2], ttl)
end
return {'VIEWED'}

---- top
-- Lists the most popular products.
-- KEYS: products, clock
-- ARGV: last rank, half-life (ms)
-- Replies: TOP, time now in half-lives, SKUs and scores (list)
local now = now_ms()
local stored = redis.call('HMGET', KEYS[2], 'at', 'ahead')
local at, ahead = tonumber(stored[1] or nil), tonumber(stored[2] or nil)
at, ahead = at and at < 2 ^ 52 and at or 0, ahead and ahead >= 0 and ahead < 2 ^ 52 and ahead or 0
local moment = math.max(now, at) + ahead
return {'TOP', string.format('%.17g', moment / ARGV[2]), redis.call('ZREVRANGE', KEYS[1], 0, ARGV[1], 'WITHSCORES')}
