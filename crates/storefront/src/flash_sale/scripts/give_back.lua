-- Takes a purchase back, and gives its units to the line.
--
-- KEYS: sale, bought, line, tickets
-- ARGV: customer, 'customer:order'
local sale, refusal = read_sale()
if not sale then
  return refusal
end
local answered = redis.call('HGET', KEYS[2], ARGV[2])
if not answered then
  return {'UNKNOWN'}
elseif string.sub(answered, 1, 4) == 'back' then
  return {'GIVEN_BACK', answered}
end
local units = tonumber(string.match(answered, '^(%d+) '))
local have = tonumber(redis.call('HGET', KEYS[2], ARGV[1]))
if not units or not have or have < units or sale.sold < units then
  return {'MALFORMED', KEYS[2], ARGV[2]}
end

redis.call('HSET', KEYS[2], ARGV[1], have - units)
sale.left, sale.sold = sale.left + units, sale.sold - units
local served = serve(sale)
-- The answer stays, for who asks again because he has not heard it.
answered = table.concat({'back', units, #served > 0 and table.concat(served, ' ') or nil}, ' ')
redis.call('HSET', KEYS[2], ARGV[2], answered)
-- Last, as it may be the only one who had anything: then the key is gone. He may have been served just now.
if redis.call('HGET', KEYS[2], ARGV[1]) == '0' then
  redis.call('HDEL', KEYS[2], ARGV[1])
end
return {'GIVEN_BACK', answered}
