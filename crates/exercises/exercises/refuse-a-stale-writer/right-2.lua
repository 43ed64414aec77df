local last = redis.call('HGET', KEYS[1], 'number') or '0'
local newer = #ARGV[1] > #last or (#ARGV[1] == #last and ARGV[1] >= last)
if not newer then return 0 end
redis.call('HSET', KEYS[1], 'text', ARGV[2], 'number', ARGV[1])
return 1
