-- Opens a sale where there is none that is still to end. Opening the same one again changes nothing.
--
-- KEYS: sale, bought, line, tickets
-- ARGV: name, product, starts, ends, units, cap, places, kept until
local wrong = other_type(KEYS[1], 'hash') or other_type(KEYS[2], 'hash') or other_type(KEYS[3], 'zset')
  or other_type(KEYS[4], 'hash')
if wrong then
  return wrong
end
local fields = {'name', 'product', 'starts', 'ends', 'units', 'cap', 'places', 'kept_until'}
local former = redis.call('HMGET', KEYS[1], unpack(fields))
local same = true
for i = 1, #fields do
  same = same and former[i] == ARGV[i]
end
if same then
  return {'OPENED'}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if (tonumber(former[4]) or 0) > now then
  return {'ANOTHER', former[4] - now}
elseif tonumber(ARGV[4]) <= now then
  return {'OVER'}
end

for i = 1, #fields do
  redis.call('HSET', KEYS[1], fields[i], ARGV[i])
end
redis.call('HSET', KEYS[1], 'left', ARGV[5], 'sold', 0, 'numbers', 0)
redis.call('PEXPIREAT', KEYS[1], ARGV[8])
-- Last, and not the sale's own key, which is written anew: while its slot moves a script that asks for a key which it has
-- deleted fails in its middle. One by one: where a slot arrives, a command with several keys fails if one of them is not there.
for i = 2, 4 do
  redis.call('DEL', KEYS[i])
end
return {'OPENED'}
