-- A lock:
--
--   lock    String with a TTL: token:number:owner
--   number  String: the highest fencing number so far

---- holder
-- Reads who holds the lock.
local held = redis.call('GET', KEYS[1])
local token, number, owner
if held then
  token, number, owner = string.match(held, '^(%w+):(%d+):(.*)$')
  if not token then
    error({err = 'MALFORMED ' .. KEYS[1] .. ' value'})
  end
end

---- acquire
-- Takes the lock if it is free, and numbers the holder. The same token again is the same holder, whose TTL begins again.
-- KEYS: lock, number
-- ARGV: token, owner, TTL (ms), TTL of the number (ms)
-- Replies: ACQUIRED, fencing number; or HELD, time left (ms), owner; or YOURS, time left (ms), owner
if held and token ~= ARGV[1] then
  return {owner == ARGV[2] and 'YOURS' or 'HELD', redis.call('PTTL', KEYS[1]), owner}
end
local last = redis.call('GET', KEYS[2])
local time = redis.call('TIME')
require_commands('SET', 'PEXPIRE')
if held then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {'ACQUIRED', number}
end
-- The server's clock in microseconds, so that a number that was lost does not begin again at one.
local next_number = math.max(time[1] * 1000000 + time[2], last and whole(last, KEYS[2], 'value') + 1 or 0)
number = string.format('%.0f', next_number)
redis.call('SET', KEYS[2], number, 'PX', ARGV[4])
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. number .. ':' .. ARGV[2], 'PX', ARGV[3])
return {'ACQUIRED', number}

---- renew
-- Begins the TTL again, for the holder only.
-- KEYS: lock
-- ARGV: token, TTL (ms)
-- Replies: RENEWED; or LOST
if token ~= ARGV[1] then
  return {'LOST'}
end
require_commands('PEXPIRE')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'RENEWED'}

---- release
-- Frees the lock, for the holder only.
-- KEYS: lock
-- ARGV: token
-- Replies: RELEASED; or NOT_HELD
if token ~= ARGV[1] then
  return {'NOT_HELD'}
end
require_commands('UNLINK')
redis.call('UNLINK', KEYS[1])
return {'RELEASED'}
