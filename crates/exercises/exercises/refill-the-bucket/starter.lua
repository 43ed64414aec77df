-- KEYS[1]: the bucket. ARGV[1]: its capacity. ARGV[2]: tokens a second. ARGV[3]: now, in milliseconds.
local capacity, rate, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tokens = tonumber(redis.call('HGET', KEYS[1], 'tokens') or capacity)
local at = tonumber(redis.call('HGET', KEYS[1], 'at') or now)

local added = math.floor((now - at) * rate / 1000)
tokens = math.min(capacity, tokens + added)

local allowed = 0
if tokens >= 1 then
  tokens = tokens - 1
  allowed = 1
end
redis.call('HSET', KEYS[1], 'tokens', tokens, 'at', now)
return allowed
