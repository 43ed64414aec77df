-- KEYS: interests
-- ARGV: the most there can be, interests
local new = 0
for i = 2, #ARGV do
  new = new + 1 - redis.call('SISMEMBER', KEYS[1], ARGV[i])
end
if redis.call('SCARD', KEYS[1]) + new > tonumber(ARGV[1]) then
  return {'TOO_MANY'}
end
if new > 0 then
  redis.call('SADD', KEYS[1], unpack(ARGV, 2))
end
return {'LIKED', new}
