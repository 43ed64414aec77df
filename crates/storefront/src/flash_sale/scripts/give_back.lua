-- Takes a purchase back, and gives its units to the line.
--
-- KEYS: sale, bought, line, tickets
-- ARGV: customer, 'customer:order'
local sale, refusal = read_sale()
if not sale then
  return refusal
end
local bought = redis.call('HMGET', KEYS[2], ARGV[1], ARGV[2])
local have, answered = tonumber(bought[1]), bought[2]
if not answered then
  return {'UNKNOWN'}
elseif string.sub(answered, 1, 4) == 'back' then
  return {'GIVEN_BACK', answered}
end
local units = tonumber(string.match(answered, '^(%d+) '))
if not units or not have or have < units or sale.sold < units then
  return {'MALFORMED', KEYS[2], ARGV[2]}
end

if have == units then
  redis.call('HDEL', KEYS[2], ARGV[1])
else
  redis.call('HSET', KEYS[2], ARGV[1], have - units)
end
sale.left, sale.sold = sale.left + units, sale.sold - units
local served = serve(sale)
-- The answer stays, for who asks again because he has not heard it.
answered = table.concat({'back', units, unpack(served)}, ' ')
redis.call('HSET', KEYS[2], ARGV[2], answered)
return {'GIVEN_BACK', answered}
