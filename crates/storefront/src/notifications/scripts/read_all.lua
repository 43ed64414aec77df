-- Removes everything that is unread.
--
-- KEYS: waiting, taken, deadlines, sent, counts
if unread > 0 then
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
  redis.call('HINCRBY', KEYS[5], 'read', unread)
end
return {'READ', unread}
