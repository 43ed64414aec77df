redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
while redis.call('ZCARD', KEYS[1]) > 10 do redis.call('ZPOPMIN', KEYS[1]) end
local place = redis.call('ZREVRANK', KEYS[1], ARGV[1])
if not place then return 0 end
return place + 1
