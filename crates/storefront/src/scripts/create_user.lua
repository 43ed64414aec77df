-- Creates a user unless the number is taken.
--
-- KEYS: the user, then the index of all users (left out where it lives in another slot)
-- ARGV: number, first name, last name
local wrong = other_type(KEYS[1], 'hash') or KEYS[2] and other_type(KEYS[2], 'zset')
if wrong then
  return wrong
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {'TAKEN'}
end
redis.call('HSET', KEYS[1], 'firstname', ARGV[2], 'lastname', ARGV[3])
if KEYS[2] then
  redis.call('ZADD', KEYS[2], ARGV[1], ARGV[1])
end
return {'CREATED'}
