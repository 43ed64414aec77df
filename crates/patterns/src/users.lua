-- Users: one Hash each, and the list of all users in another slot.

---- next
-- Finds the next number that no user has. It does not reserve the number. `users` is a Sorted Set of all IDs, all with score 0,
-- so in the order of their text. `last` is a String: the last number that was given out.
-- KEYS: users, last
-- Replies: NEXT, number
local number = whole(redis.call('GET', KEYS[2]) or '0', KEYS[2], '')
for try = 1, 1000 do
  number = number + 1
  if not redis.call('ZSCORE', KEYS[1], string.format('%.0f', number)) then
    break
  elseif try % 100 == 0 then
    -- The key was lost. Skip ahead instead of trying every number that was given out.
    number = math.max(number, redis.call('ZCARD', KEYS[1]))
  end
end
redis.call('SET', KEYS[2], string.format('%.0f', number))
return {'NEXT', string.format('%.0f', number)}

---- create
-- Writes a user who does not exist yet. `user` is a Hash: firstname, lastname. `creator` is a String: the request that created the
-- user. It lives while the request may be sent again.
-- KEYS: user, creator
-- ARGV: request ID, first name, last name, request TTL (ms), 1 to accept a user with the same names
-- Replies: CREATED; or TAKEN
local there, creator = redis.call('HMGET', KEYS[1], 'firstname', 'lastname'), redis.call('GET', KEYS[2])
if redis.call('EXISTS', KEYS[1]) == 1 then
  local same = there[1] == ARGV[2] and there[2] == ARGV[3]
  return {(creator == ARGV[1] or ARGV[5] == '1' and same) and 'CREATED' or 'TAKEN'}
end
require_commands('HSET', 'SET')
redis.call('HSET', KEYS[1], 'firstname', ARGV[2], 'lastname', ARGV[3])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[4])
return {'CREATED'}
