-- KEYS: waiting, taken, deadlines, sent, counts
local counts = redis.call('HMGET', KEYS[5], 'sent', 'read', 'dropped')
return {'COUNTS', counts[1] or 0, unread, counts[2] or 0, counts[3] or 0}
