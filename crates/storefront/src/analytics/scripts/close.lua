-- Closes a day: it has metrics, if only a zero, and no ids any more.
--
-- KEYS: metrics, ids counted
-- ARGV: ms it is kept
local wrong = other_type(KEYS[2], 'set')
if wrong then
  return wrong
end
redis.call('HSETNX', KEYS[1], 'page_views', '0')
redis.call('PEXPIRE', KEYS[1], ARGV[1], 'NX')
return {'CLOSED', redis.call('UNLINK', KEYS[2])}
