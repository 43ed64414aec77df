-- The stock of a product as screens show it is a Hash: level, version.

---- set
-- Sets the level, numbers the change, and publishes it.
-- KEYS: stock
-- ARGV: level, channel, SKU as JSON
-- Replies: SET, version
local stored = redis.call('HGET', KEYS[1], 'version')
local previous = stored and whole(stored, KEYS[1], 'version') or 0
-- The microsecond makes the number new even if the server has lost the last versions that it published, and counting on makes it
-- larger even if the clock was set back.
local time = redis.call('TIME')
local version = math.max(time[1] * 1000000 + time[2], previous + 1)
require_commands('HSET')
require_channel(ARGV[2])
redis.call('HSET', KEYS[1], 'level', ARGV[1], 'version', string.format('%.0f', version))
redis.call('PUBLISH', ARGV[2], string.format('{"sku":%s,"level":%s,"version":%.0f,"previous":%.0f}',
  ARGV[3], ARGV[1], version, previous))
return {'SET', string.format('%.0f', version)}

---- snapshot
-- Reads level and version. It is a script because a client may send plain reads to a replica, which may lag behind.
-- KEYS: stock
-- Replies: STOCK, level, version; or NONE
local stock = redis.call('HMGET', KEYS[1], 'level', 'version')
if not stock[1] and not stock[2] then
  return {'NONE'}
end
return {'STOCK', whole(stock[1] or '', KEYS[1], 'level'), string.format('%.0f', whole(stock[2] or '', KEYS[1], 'version'))}
