-- KEYS[1]: the document. ARGV[1]: the writer's number. ARGV[2]: the text.
local last = redis.call('HGET', KEYS[1], 'number')
if last and tonumber(ARGV[1]) < tonumber(last) then
  return 0
end
redis.call('HSET', KEYS[1], 'number', ARGV[1], 'text', ARGV[2])
return 1
