-- Sells units to a customer, or says why not, or gives him a place in the line.
--
-- KEYS: sale, bought, line, tickets
-- ARGV: customer, 'customer:order', order, quantity
local call, tonumber = redis.call, tonumber
local customer, purchase, quantity = ARGV[1], ARGV[2], tonumber(ARGV[4])

local sale = call('HMGET', KEYS[1], 'starts', 'ends', 'left', 'sold', 'cap', 'places', 'kept_until')
local bought = call('HMGET', KEYS[2], customer, purchase)
if bought[2] then
  return {'ANSWERED', bought[2]}
end
local have = tonumber(bought[1] or 0)
local starts, ends, left, sold = tonumber(sale[1]), tonumber(sale[2]), tonumber(sale[3]), tonumber(sale[4])
local cap, places, kept_until = tonumber(sale[5]), tonumber(sale[6]), sale[7]
if not (starts and ends and left and sold and cap and places and kept_until and have) then
  return call('EXISTS', KEYS[1]) == 0 and {'NO_SALE'} or {'MALFORMED', KEYS[1], 'a field of the sale'}
end

local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now < starts then
  return {'NOT_STARTED', starts - now}
elseif now >= ends then
  return {'OVER'}
elseif have + quantity > cap then
  return {'OVER_CAP', have, cap}
end

if places > 0 then
  local ticket = call('HGET', KEYS[4], customer)
  if ticket then
    return {'WAITING', ticket, call('ZRANK', KEYS[3], customer)}
  end
  local ahead = call('ZCARD', KEYS[3])
  -- Who comes later waits behind those who wait already, whatever is left.
  if ahead > 0 or left < quantity then
    if ahead >= places then
      return {'SOLD_OUT', left}
    end
    local number = call('HINCRBY', KEYS[1], 'numbers', 1)
    ticket = string.format('%d %d %s', number, quantity, ARGV[3])
    call('ZADD', KEYS[3], number, customer)
    call('HSET', KEYS[4], customer, ticket)
    call('PEXPIREAT', KEYS[3], kept_until)
    call('PEXPIREAT', KEYS[4], kept_until)
    return {'WAITING', ticket, ahead}
  end
elseif left < quantity then
  return {'SOLD_OUT', left}
end

left, sold, have = left - quantity, sold + quantity, have + quantity
call('HSET', KEYS[1], 'left', left, 'sold', sold)
call('HSET', KEYS[2], customer, have, purchase, string.format('%d %d %d', quantity, left, have))
-- Nobody had anything, so this key may be new.
if sold == quantity then
  call('PEXPIREAT', KEYS[2], kept_until)
  -- The server searches a small Hash (512 fields) from end to end, twice for each purchase. One long value makes it a table
  -- for good, in which every field is found at once.
  call('HSET', KEYS[2], ':', string.rep(':', 100))
  call('HDEL', KEYS[2], ':')
end
return {'BOUGHT', left, have}
