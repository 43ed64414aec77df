-- Puts a product in front of what a customer looked at, where it is once, and cuts the rest.
--
-- KEYS: views
-- ARGV: SKU, index of the last that stays, ms the list lives on
local before = #redis.call('LPOS', KEYS[1], ARGV[1], 'COUNT', 0)
-- It enters before it leaves: a list without values is gone, and while its
-- slot moves a script that asks for a key which is gone fails in its middle.
redis.call('LPUSH', KEYS[1], ARGV[1])
if before > 0 then
  redis.call('LREM', KEYS[1], -before, ARGV[1])
end
redis.call('LTRIM', KEYS[1], 0, ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'VIEWED'}
