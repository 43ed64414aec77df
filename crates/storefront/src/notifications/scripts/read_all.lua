-- Removes everything that is unread.
--
-- KEYS: waiting, taken, deadlines, sent, counts
if unread > 0 then
  redis.call('HINCRBY', KEYS[5], 'read', unread)
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
end
return {'READ', unread}
