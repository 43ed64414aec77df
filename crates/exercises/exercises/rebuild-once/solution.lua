-- KEYS[1]: the page. KEYS[2]: who rebuilds it. ARGV[1]: this client. ARGV[2]: how long a rebuild may take, in milliseconds.
local page = redis.call('GET', KEYS[1])
if page then
  return {'hit', page}
end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) or redis.call('GET', KEYS[2]) == ARGV[1] then
  return {'rebuild'}
end
return {'wait'}
