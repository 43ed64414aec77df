local holder = redis.call("GET", KEYS[1])
if holder ~= ARGV[1] then return 0 end
redis.call("UNLINK", KEYS[1])
return 1
