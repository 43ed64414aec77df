-- Adds visitors to a day, which is kept for so long after its first visitor.
--
-- KEYS: the visitors of the day
-- ARGV: SADD, PFADD or SETBIT, ms the day is kept, visitors
local expected = ARGV[1] == 'SADD' and 'set' or 'string'
local wrong = other_type(KEYS[1], expected)
if wrong then
  return wrong
end
if ARGV[1] == 'SETBIT' then
  for i = 3, #ARGV do
    redis.call('SETBIT', KEYS[1], ARGV[i], 1)
  end
else
  redis.call(ARGV[1], KEYS[1], unpack(ARGV, 3))
end
redis.call('PEXPIRE', KEYS[1], ARGV[2], 'NX')
return {'ADDED'}
