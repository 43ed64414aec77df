-- Sets the level of a product, numbers the change, and tells everyone.
--
-- KEYS: the product's stock
-- ARGV: level, channel, SKU
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch and not string.match(epoch, '^%d+$') then
  -- It would make what is published unreadable.
  return {'MALFORMED', KEYS[1], 'epoch'}
end
-- PUBLISH comes last, and its refusal would leave a change behind.
if not redis.acl_check_cmd('PUBLISH', ARGV[2], '') then
  return redis.error_reply('NOPERM this user has no permission to publish on the channel ' .. ARGV[2])
end
if not epoch then
  local time = redis.call('TIME')
  epoch = string.format('%.0f', time[1] * 1000000 + time[2])
end
local version = redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('HSET', KEYS[1], 'level', ARGV[1], 'epoch', epoch)
redis.call('PUBLISH', ARGV[2], string.format(
  '{"sku":"%s","level":%s,"version":%.0f,"epoch":%s}', ARGV[3], ARGV[1], version, epoch))
return {'SET', version, epoch}
