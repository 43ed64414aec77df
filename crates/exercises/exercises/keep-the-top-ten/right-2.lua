local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not known or tonumber(known) < tonumber(ARGV[2]) then redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1]) end
local extra = redis.call('ZCARD', KEYS[1]) - 10
if extra > 0 then redis.call('ZREMRANGEBYRANK', KEYS[1], 0, extra - 1) end
local place = redis.call('ZREVRANK', KEYS[1], ARGV[1])
return place and place + 1 or 0
