-- Thousandths of a token, as whole numbers.
local full = tonumber(ARGV[1]) * 1000
local now = tonumber(ARGV[3])
local tokens = tonumber(redis.call('HGET', KEYS[1], 'tokens') or full)
local at = tonumber(redis.call('HGET', KEYS[1], 'at') or now)
tokens = math.min(full, tokens + (now - at) * tonumber(ARGV[2]))
local allowed = tokens >= 1000
if allowed then tokens = tokens - 1000 end
redis.call('HSET', KEYS[1], 'tokens', tokens, 'at', now)
return allowed and 1 or 0
