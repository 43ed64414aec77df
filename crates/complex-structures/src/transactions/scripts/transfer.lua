-- Moves money, if it is there, in one step.
-- KEYS[1] pays, KEYS[2] is paid; ARGV[1] cents.
-- Returns 1 if it was moved, 0 if not.
local cents = tonumber(ARGV[1])
local balance = redis.call('GET', KEYS[1]) or 0
if tonumber(balance) < cents then
  return 0
end
redis.call('DECRBY', KEYS[1], ARGV[1])
redis.call('INCRBY', KEYS[2], ARGV[1])
return 1
