-- refused: no time to live
local count = redis.call('INCR', KEYS[1])
if count > tonumber(ARGV[1]) then return 0 end
return 1
