-- Where somebody stands in the line.
--
-- KEYS: line, tickets
-- ARGV: customer
local ahead = redis.call('ZRANK', KEYS[1], ARGV[1])
local ticket = redis.call('HGET', KEYS[2], ARGV[1])
if not ahead or not ticket then
  return {'NOT_IN_LINE'}
end
return {'WAITING', ticket, ahead}
