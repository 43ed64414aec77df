-- Puts a product in front of what a customer looked at, where it is once, and cuts off the rest.
--
-- KEYS[1]: the List of SKUs
-- ARGV: SKU, index of the last product that stays, ms until the list expires
local before = #redis.call('LPOS', KEYS[1], ARGV[1], 'COUNT', 0)
require_commands('LPUSH', 'LREM', 'LTRIM', 'PEXPIRE')
-- Push before removing: an empty list is gone, and while its slot moves, a script that touches a key it has emptied fails.
redis.call('LPUSH', KEYS[1], ARGV[1])
if before > 0 then
  redis.call('LREM', KEYS[1], -before, ARGV[1])
end
redis.call('LTRIM', KEYS[1], 0, ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'RECORDED'}
