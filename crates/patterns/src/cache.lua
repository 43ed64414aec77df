-- A cached value, and beside it, while somebody loads it, a lease: the token of the loader, which expires unless the loader
-- renews it. Only the holder of the token may store, and a client that deletes the value deletes the token too.

---- ask
-- Decides who loads a value that is missing or stale.
--
-- KEYS[1]: the value; KEYS[2]: the lease
-- ARGV: our token, the token of a canceled caller whose place we take or '', ms of a lease, ms before its end from which a value
--       is stale, a value that could not be read
local value = redis.call('GET', KEYS[1])
if value == ARGV[5] then
  value = false
end
if value and (ARGV[4] == '0' or redis.call('PTTL', KEYS[1]) >= tonumber(ARGV[4])) then
  return {'FRESH', value}
end
local loader, left = redis.call('GET', KEYS[2]), redis.call('PTTL', KEYS[2])
-- A lease that lasts longer than a lease can was taken before the clock was set back, and holds nobody up.
if loader and loader ~= ARGV[1] and loader ~= ARGV[2] and left > 0 and left <= tonumber(ARGV[3]) then
  return {'WAIT', value}
end
require_commands('SET')
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[3])
return {'LOAD', value}

---- renew
-- The loader is still at work.
--
-- KEYS[1]: the lease
-- ARGV: our token, ms of a lease
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return {'LOST'}
end
require_commands('PEXPIRE')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'RENEWED'}

---- store
-- Stores what was loaded, if we are still the one to load it.
--
-- KEYS[1]: the value; KEYS[2]: the lease
-- ARGV: our token, the value, its ms to live
-- SET overwrites a key of any type, and another type is somebody else's: STRLEN refuses it.
redis.call('STRLEN', KEYS[1])
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  -- Stored by this very call, if it was sent twice.
  return {redis.call('GET', KEYS[1]) == ARGV[2] and 'STORED' or 'LATE'}
end
require_commands('SET', 'UNLINK')
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('UNLINK', KEYS[2])
return {'STORED'}

---- release
-- Lets somebody else load.
--
-- KEYS[1]: the lease
-- ARGV: our token
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('UNLINK', KEYS[1])
end
return {'RELEASED'}

---- put
-- Stores a value, and takes the lease from the client that loads an older one.
--
-- KEYS[1]: the value; KEYS[2]: the lease
-- ARGV: the value, its ms to live
redis.call('STRLEN', KEYS[1])
redis.call('STRLEN', KEYS[2])
require_commands('SET', 'UNLINK')
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('UNLINK', KEYS[2])
return {'PUT'}
