local page = redis.call('GET', KEYS[1])
if page then return {'hit', page} end
local builder = redis.call('HGET', KEYS[2], 'client')
if builder and builder ~= ARGV[1] then return {'wait'} end
redis.call('HSET', KEYS[2], 'client', ARGV[1])
if not builder then redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
return {'rebuild'}
