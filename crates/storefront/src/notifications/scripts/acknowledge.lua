-- Removes what the customer has seen.
--
-- KEYS: waiting, taken, deadlines, sent, counts
-- ARGV: events
local read = redis.call('HDEL', KEYS[2], unpack(ARGV))
if read > 0 then
  redis.call('ZREM', KEYS[3], unpack(ARGV))
  redis.call('HINCRBY', KEYS[5], 'read', read)
end
return {'READ', read}
