-- Takes an order off the list. With 'overdue' only if it is due still: its buyer may just have noted a later time.
--
-- KEYS: the unfinished orders
-- ARGV: order, 'overdue' or ''
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local at = redis.call('ZSCORE', KEYS[1], ARGV[1])
if at and (ARGV[2] == '' or tonumber(at) <= now) then
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return {'DONE'}
