-- KEYS[1]: the page. KEYS[2]: who rebuilds it. ARGV[1]: this client. ARGV[2]: how long a rebuild may take, in milliseconds.
local page = redis.call('GET', KEYS[1])
if page then
  return {'hit', page}
end
return {'rebuild'}
