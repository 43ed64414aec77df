-- Removes everything that is unread.
--
-- KEYS: waiting, taken, deadlines, sent, counts
if unread > 0 then
  redis.call('HINCRBY', KEYS[5], 'read', unread)
  -- One by one: where a slot arrives, a command with several keys fails if one of them is not there.
  for i = 1, 3 do
    redis.call('DEL', KEYS[i])
  end
end
return {'READ', unread}
