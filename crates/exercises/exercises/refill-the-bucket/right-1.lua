local capacity, rate, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local state = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(state[1] or capacity), tonumber(state[2] or now)
local added = math.floor((now - at) * rate / 1000)
if tokens + added >= capacity then
  tokens, at = capacity, now
else
  tokens, at = tokens + added, at + added * 1000 / rate
end
if tokens < 1 then
  redis.call('HSET', KEYS[1], 'tokens', tokens, 'at', at)
  return 0
end
redis.call('HSET', KEYS[1], 'tokens', tokens - 1, 'at', at)
return 1
