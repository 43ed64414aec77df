-- Who was there on which day: one bit for each user and day. All days share a slot, because BITOP needs that.

---- add
-- KEYS[1]: the bitmap of the day
-- ARGV: ms it is kept, the numbers of users
redis.call('STRLEN', KEYS[1])
require_commands('SETBIT', 'PEXPIRE')
for i = 2, #ARGV do
  redis.call('SETBIT', KEYS[1], ARGV[i], 1)
end
redis.call('PEXPIRE', KEYS[1], ARGV[1], 'NX')
return {'ADDED'}

---- returned
-- How many users of one day were there on another day.
--
-- KEYS: one day, the other day, a place for the intersection
redis.call('STRLEN', KEYS[3])
require_commands('BITOP', 'BITCOUNT', 'UNLINK')
if redis.call('BITOP', 'AND', KEYS[3], KEYS[1], KEYS[2]) == 0 then
  return {'RETURNED', 0}
end
local returned = redis.call('BITCOUNT', KEYS[3])
redis.call('UNLINK', KEYS[3])
return {'RETURNED', returned}
