-- How many of the first day's users were there on each of the other days.
--
-- KEYS: where to intersect, the first day, the other days
local counts = {'COUNTS', redis.call('BITCOUNT', KEYS[2])}
for i = 3, #KEYS do
  redis.call('BITOP', 'AND', KEYS[1], KEYS[2], KEYS[i])
  counts[#counts + 1] = redis.call('BITCOUNT', KEYS[1])
end
redis.call('DEL', KEYS[1])
return counts
