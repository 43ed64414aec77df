-- KEYS[1]: the balance. KEYS[2]: the request. ARGV[1]: the amount in cents. ARGV[2]: how long to remember, in milliseconds.
local first_reply = redis.call('GET', KEYS[2])
if first_reply then
  return tonumber(first_reply)
end
local balance = redis.call('INCRBY', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], balance, 'PX', ARGV[2])
return balance
