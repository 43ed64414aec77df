-- Puts a product at the head of the List of what a customer viewed, removes its earlier entry, and trims the List.
--
-- KEYS: views
-- ARGV: SKU, last index to keep, TTL (ms)
-- Replies: RECORDED

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
