-- First step of 'log out everywhere': every session of the user leaves the index, so that none of them can be kept or
-- replaced any more, for a list of those to end. What an earlier call has left there is still to do.
--
-- KEYS: the index, the ending
-- ZUNIONSTORE takes a Set as well, and would destroy somebody else's.
redis.call('ZCARD', KEYS[1])
redis.call('ZCARD', KEYS[2])
redis.call('ZUNIONSTORE', KEYS[2], 2, KEYS[2], KEYS[1], 'AGGREGATE', 'MAX')
redis.call('UNLINK', KEYS[1])
local ids = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
local found = {}
for i = 1, #ids, 2 do
  found[#found + 1] = ids[i]
end
if #found > 0 then
  redis.call('PEXPIREAT', KEYS[2], integer(math.max(tonumber(ids[#ids]), clock() + 1000)))
end
return {'ENDING', found}
