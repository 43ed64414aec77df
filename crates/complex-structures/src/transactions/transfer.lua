-- Moves money if the payer has enough, in one step.
-- KEYS: the account that pays, the account that is paid.
-- ARGV: cents
-- Returns: 1 if it moved the money, 0 if not.
local balance = redis.call('GET', KEYS[1]) or 0
if tonumber(balance) < tonumber(ARGV[1]) then
  return 0
end
redis.call('DECRBY', KEYS[1], ARGV[1])
redis.call('INCRBY', KEYS[2], ARGV[1])
return 1
