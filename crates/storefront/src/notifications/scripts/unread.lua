-- The keys of one customer's notifications: waiting, taken, deadlines, sent, counts. Asking all of them first makes one of
-- another type fail before anything has changed.
local waiting, with_devices = redis.call('LLEN', KEYS[1]), redis.call('HLEN', KEYS[2])
redis.call('ZCARD', KEYS[3])
redis.call('ZCARD', KEYS[4])
redis.call('HLEN', KEYS[5])

-- Each event is either waiting or with a device, so together they are what is unread.
local unread = waiting + with_devices
