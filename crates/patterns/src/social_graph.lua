-- Who follows whom.
--
-- following:ann is the truth: whom Ann follows, scored by a number that counts up. followers:bob is an index in another slot, so
-- a change takes three steps: decide in Ann's slot and note Bob as pending, write the index in Bob's slot, and settle in Ann's.
-- Each step can be repeated. A change that was cut off stays pending until somebody finishes it.

---- follow
-- Decides that a user follows another one. The index is still to be written.
-- KEYS: following, pending
-- ARGV: other user, max users to follow
-- Replies: DECIDED, 1 if that is new; or TOO_MANY
local followed = redis.call('ZSCORE', KEYS[1], ARGV[1])
local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
redis.call('SCARD', KEYS[2])
if not followed and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
  return {'TOO_MANY'}
end
require_commands('ZADD', 'SADD')
redis.call('SADD', KEYS[2], ARGV[1])
if not followed then
  redis.call('ZADD', KEYS[1], (tonumber(newest[2]) or 0) + 1, ARGV[1])
end
return {'DECIDED', followed and 0 or 1}

---- unfollow
-- Decides that a user no longer follows another one. The index is still to be written.
-- KEYS: following, pending
-- ARGV: other user
-- Replies: DECIDED, 1 if the user followed the other one
local followed = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('SCARD', KEYS[2])
require_commands('ZREM', 'SADD')
redis.call('SADD', KEYS[2], ARGV[1])
if followed then
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return {'DECIDED', followed and 1 or 0}

---- index
-- Adds a user to the followers of another one, or removes the user.
-- KEYS: followers
-- ARGV: user, 1 if the user follows
-- Replies: INDEXED
local listed = redis.call('ZSCORE', KEYS[1], ARGV[1])
local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
require_commands('ZADD', 'ZREM')
if ARGV[2] == '1' and not listed then
  redis.call('ZADD', KEYS[1], (tonumber(newest[2]) or 0) + 1, ARGV[1])
elseif ARGV[2] == '0' and listed then
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return {'INDEXED'}

---- settle
-- Ends a change if the index was written as it was decided last. Otherwise the index must be written again.
-- KEYS: following, pending
-- ARGV: other user, 1 if the index says that the user follows
-- Replies: SETTLED; or CHANGED, 1 if the user follows
local follows = redis.call('ZSCORE', KEYS[1], ARGV[1]) and '1' or '0'
local pending = redis.call('SISMEMBER', KEYS[2], ARGV[1])
if follows ~= ARGV[2] then
  return {'CHANGED', follows}
end
require_commands('SREM')
if pending == 1 then
  redis.call('SREM', KEYS[2], ARGV[1])
end
return {'SETTLED'}
