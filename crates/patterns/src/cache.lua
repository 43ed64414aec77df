-- A cached value. While a client loads it, a lease stands beside it: the token of the loader. The lease expires unless the
-- loader renews it. Only the holder of the token may store. A client that deletes the value deletes the lease too.

---- ask
-- Decides who loads a value that is missing or stale.
-- KEYS: value, lease
-- ARGV: own token, token of a canceled caller to replace or '', lease TTL (ms), remaining TTL below which a value is stale (ms),
--   value that could not be decoded
-- Replies: FRESH, value; or LOAD, stale value; or WAIT, stale value
local value = redis.call('GET', KEYS[1])
if value == ARGV[5] then
  value = false
end
if value and (ARGV[4] == '0' or redis.call('PTTL', KEYS[1]) >= tonumber(ARGV[4])) then
  return {'FRESH', value}
end
local loader, left = redis.call('GET', KEYS[2]), redis.call('PTTL', KEYS[2])
-- A TTL longer than any lease means that the clock was set back. Such a lease blocks no client.
if loader and loader ~= ARGV[1] and loader ~= ARGV[2] and left > 0 and left <= tonumber(ARGV[3]) then
  return {'WAIT', value}
end
require_commands('SET')
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[3])
return {'LOAD', value}

---- renew
-- Renews the lease while the loader is still at work.
-- KEYS: lease
-- ARGV: own token, lease TTL (ms)
-- Replies: RENEWED; or LOST
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return {'LOST'}
end
require_commands('PEXPIRE')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'RENEWED'}

---- store
-- Stores what was loaded, if this client still holds the lease.
-- KEYS: value, lease
-- ARGV: own token, value, TTL (ms)
-- Replies: STORED; or LATE

-- SET overwrites a key of any type. STRLEN refuses a type that the cache does not write.
redis.call('STRLEN', KEYS[1])
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  -- If this call was sent twice, the first one stored the value.
  local is_stored = redis.call('GET', KEYS[1]) == ARGV[2]
  return {is_stored and 'STORED' or 'LATE'}
end
require_commands('SET', 'UNLINK')
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('UNLINK', KEYS[2])
return {'STORED'}

---- release
-- Gives the lease back, so that another client can load.
-- KEYS: lease
-- ARGV: own token
-- Replies: RELEASED
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('UNLINK', KEYS[1])
end
return {'RELEASED'}

---- put
-- Stores a value, and takes the lease from a client that is loading an older one.
-- KEYS: value, lease
-- ARGV: value, TTL (ms)
-- Replies: PUT
redis.call('STRLEN', KEYS[1])
redis.call('STRLEN', KEYS[2])
require_commands('SET', 'UNLINK')
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('UNLINK', KEYS[2])
return {'PUT'}
