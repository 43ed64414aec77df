-- Who was active on which day: one bit per user and day. All days share a slot, because BITOP needs that.

---- add
-- Marks users as active on a day.
-- KEYS: bitmap of the day
-- ARGV: TTL (ms), then for each user: number
-- Replies: ADDED
redis.call('STRLEN', KEYS[1])
require_commands('SETBIT', 'PEXPIRE')
for i = 2, #ARGV do
  redis.call('SETBIT', KEYS[1], ARGV[i], 1)
end
redis.call('PEXPIRE', KEYS[1], ARGV[1], 'NX')
return {'ADDED'}

---- returned
-- Counts the users of one day who were also active on another day.
-- KEYS: one day, other day, scratch key for the intersection
-- Replies: RETURNED, users
redis.call('STRLEN', KEYS[3])
require_commands('BITOP', 'BITCOUNT', 'UNLINK')
if redis.call('BITOP', 'AND', KEYS[3], KEYS[1], KEYS[2]) == 0 then
  return {'RETURNED', 0}
end
local returned = redis.call('BITCOUNT', KEYS[3])
redis.call('UNLINK', KEYS[3])
return {'RETURNED', returned}
