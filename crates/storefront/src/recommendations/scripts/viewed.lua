-- Puts a product in front of what a customer looked at, where it is once, and cuts the rest.
--
-- KEYS: views
-- ARGV: SKU, index of the last that stays, ms the list lives on
redis.call('LREM', KEYS[1], 0, ARGV[1])
redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], 0, ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'VIEWED'}
