-- Sells units to a customer, or says why not, or gives him a place in the line.
--
-- KEYS: sale, bought, purchases, line, tickets
-- ARGV: customer, 'customer:order', order, quantity
local customer, purchase, quantity = ARGV[1], ARGV[2], tonumber(ARGV[4])

local sale = redis.call('HMGET', KEYS[1], 'starts', 'ends', 'left', 'sold', 'cap', 'places', 'kept_until')
local answered = redis.call('HGET', KEYS[3], purchase)
local have = tonumber(redis.call('HGET', KEYS[2], customer) or 0)
if answered then
  return {'ANSWERED', answered}
end
local starts, ends, left, sold = tonumber(sale[1]), tonumber(sale[2]), tonumber(sale[3]), tonumber(sale[4])
local cap, places, kept_until = tonumber(sale[5]), tonumber(sale[6]), sale[7]
if not (starts and ends and left and sold and cap and places and kept_until and have) then
  return redis.call('EXISTS', KEYS[1]) == 0 and {'NO_SALE'} or {'MALFORMED', KEYS[1], 'a field of the sale'}
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now < starts then
  return {'NOT_STARTED', starts - now}
elseif now >= ends then
  return {'OVER'}
elseif have + quantity > cap then
  return {'OVER_CAP', have, cap}
end

if places > 0 then
  local ticket = redis.call('HGET', KEYS[5], customer)
  if ticket then
    return {'WAITING', ticket, redis.call('ZRANK', KEYS[4], customer)}
  end
  local ahead = redis.call('ZCARD', KEYS[4])
  -- Who comes later waits behind those who wait already, whatever is left.
  if ahead > 0 or left < quantity then
    if ahead >= places then
      return {'SOLD_OUT', left}
    end
    local number = redis.call('HINCRBY', KEYS[1], 'numbers', 1)
    ticket = string.format('%d %d %s', number, quantity, ARGV[3])
    redis.call('ZADD', KEYS[4], number, customer)
    redis.call('HSET', KEYS[5], customer, ticket)
    redis.call('PEXPIREAT', KEYS[4], kept_until)
    redis.call('PEXPIREAT', KEYS[5], kept_until)
    return {'WAITING', ticket, ahead}
  end
elseif left < quantity then
  return {'SOLD_OUT', left}
end

left, sold, have = left - quantity, sold + quantity, have + quantity
redis.call('HSET', KEYS[1], 'left', left, 'sold', sold)
redis.call('HSET', KEYS[2], customer, have)
redis.call('HSET', KEYS[3], purchase, string.format('%d %d %d', quantity, left, have))
-- Nobody had anything, so these keys may be new.
if sold == quantity then
  redis.call('PEXPIREAT', KEYS[2], kept_until)
  redis.call('PEXPIREAT', KEYS[3], kept_until)
end
return {'BOUGHT', left, have}
