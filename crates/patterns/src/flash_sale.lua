-- A flash sale:
--
--   sale       Hash: the plan's fields, and left, sold, waiting, numbers
--   purchases  Hash:
--     customer        have:orders, and while the customer waits, have:orders:number:units:order
--     customer:order  the receipt, units:left:yours, or back:units and who was served, each as customer:order:number:units
--     :plan           the plan as text; it begins with the end of the sale
--     :totals         left:sold:waiting:numbers, the same as in the sale. If they differ, one of the two keys was lost.
--   waitlist   Sorted Set of customers by number. It has as many members as the sale says.
--
-- Customers and orders are escaped, so they have no colon.

---- read
-- Reads the sale and what is stored of the customer.
local sale = redis.call('HMGET', KEYS[1], 'left', 'sold', 'waiting', 'numbers', 'starts', 'ends', 'cap', 'places',
  'kept_until')
local bought = redis.call('HMGET', KEYS[2], ARGV[1], ARGV[2], ':totals')
local on_waitlist = redis.call('ZCARD', KEYS[3])

---- agree
-- Stops if the keys disagree, because one was lost.
if not sale[1] then
  return {bought[3] and 'SALE_LOST' or 'NO_SALE'}
elseif bought[3] ~= sale[1] .. ':' .. (sale[2] or '') .. ':' .. (sale[3] or '') .. ':' .. (sale[4] or '') then
  return {'PURCHASES_LOST'}
elseif on_waitlist ~= tonumber(sale[3]) then
  return {'WAITLIST_LOST'}
end
local left, sold, waiting, numbers = tonumber(sale[1]), tonumber(sale[2]), on_waitlist, tonumber(sale[4])
local ends, kept_until = whole(sale[6] or '', KEYS[1], 'ends'), whole(sale[9] or '', KEYS[1], 'kept_until')
local have, orders, ticket = string.match(bought[1] or '0:0', '^(%d+):(%d+):?(.*)$')
if not have then
  error({err = 'MALFORMED ' .. KEYS[2] .. ' ' .. ARGV[1]})
end
have = tonumber(have)
local now = now_ms()

---- receipt
-- An order that was answered before gets the same answer, whatever happened to the sale.
-- Replicas get a write that changes nothing, so that a caller who waits for them waits for the first call, too.
local kept = tonumber(sale[9] or '')
if bought[2] and kept then
  require_commands('PEXPIREAT')
  redis.call('PEXPIREAT', KEYS[2], kept)
end
if bought[2] then
  return {'ANSWERED', bought[2]}
end

---- buy
-- Sells units to a customer, or puts the customer on the waitlist.
-- KEYS: sale, purchases, waitlist
-- ARGV: customer, customer:order, order, units, max orders per customer
-- Replies: BOUGHT, units left, units of the customer; or ANSWERED, receipt; or WAITING, ticket, customers ahead; or SOLD_OUT,
--   units left; or NOT_STARTED, time until the start (ms); or OVER; or OVER_CAP, units of the customer, cap;
--   or TOO_MANY_ORDERS; or NO_SALE; or SALE_LOST; or PURCHASES_LOST; or WAITLIST_LOST
local starts, cap = whole(sale[5] or '', KEYS[1], 'starts'), whole(sale[7] or '', KEYS[1], 'cap')
local places, units = whole(sale[8] or '', KEYS[1], 'places'), tonumber(ARGV[4])
if now < starts then
  return {'NOT_STARTED', starts - now}
elseif now >= ends then
  return {'OVER'}
elseif ticket ~= '' then
  local ahead = redis.call('ZRANK', KEYS[3], ARGV[1])
  require_commands('PEXPIREAT')
  redis.call('PEXPIREAT', KEYS[2], kept_until)
  return {'WAITING', ticket, ahead}
elseif have + units > cap then
  return {'OVER_CAP', have, cap}
elseif tonumber(orders) >= tonumber(ARGV[5]) then
  return {'TOO_MANY_ORDERS'}
end

-- Customers who wait already come first, even if units are left.
if waiting > 0 or left < units then
  if waiting >= places then
    return {'SOLD_OUT', left}
  end
  require_commands('ZADD', 'PEXPIREAT', 'HSET')
  numbers = numbers + 1
  ticket = numbers .. ':' .. ARGV[4] .. ':' .. ARGV[3]
  redis.call('ZADD', KEYS[3], numbers, ARGV[1])
  redis.call('PEXPIREAT', KEYS[3], kept_until)
  redis.call('HSET', KEYS[1], 'waiting', waiting + 1, 'numbers', numbers)
  redis.call('HSET', KEYS[2], ARGV[1], have .. ':' .. orders .. ':' .. ticket,
    ':totals', left .. ':' .. sold .. ':' .. waiting + 1 .. ':' .. numbers)
  return {'WAITING', ticket, waiting}
end

require_commands('HSET')
left, sold, have = left - units, sold + units, have + units
redis.call('HSET', KEYS[1], 'left', left, 'sold', sold)
redis.call('HSET', KEYS[2], ARGV[1], have .. ':' .. orders + 1, ARGV[2], units .. ':' .. left .. ':' .. have,
  ':totals', left .. ':' .. sold .. ':' .. waiting .. ':' .. numbers)
return {'BOUGHT', left, have}

---- give_back
-- Takes back the units of an order, and sells them to the waitlist.
-- KEYS: sale, purchases, waitlist
-- ARGV: customer, customer:order
-- Replies: GIVEN_BACK, receipt; or UNKNOWN; or NO_SALE; or SALE_LOST; or PURCHASES_LOST; or WAITLIST_LOST
local units = tonumber(string.match(bought[2] or '', '^(%d+):'))
if not bought[2] then
  return {'UNKNOWN'}
elseif not units or units > have or units > sold then
  error({err = 'MALFORMED ' .. KEYS[2] .. ' ' .. ARGV[2]})
end
left, sold, have = left + units, sold - units, have - units
local leaving = nil
local entries = {[ARGV[1]] = have .. ':' .. orders .. (ticket ~= '' and ':' .. ticket or '')}

---- given_back
-- A retry gets the same answer.
if bought[2] and string.sub(bought[2], 1, 5) == 'back:' then
  return {'GIVEN_BACK', bought[2]}
end

---- leave
-- Takes a customer off the waitlist.
-- KEYS: sale, purchases, waitlist
-- ARGV: customer, customer again
-- Replies: LEFT, customers served; or NOT_WAITING; or NO_SALE; or SALE_LOST; or PURCHASES_LOST; or WAITLIST_LOST
if ticket == '' then
  return {'NOT_WAITING'}
end
local leaving = ARGV[1]
local entries = {[ARGV[1]] = have .. ':' .. orders}

---- serve
-- Sells what is left to the waitlist in order, until the next customer wants more than is left. After the end of the
-- sale, no customer is served. `leaving` is the customer who waits no longer. `entries` has the customers whose fields change.
-- Everything is read and decided before the first write.
local served, gone, fields = {}, {leaving}, {}
if now < ends and left > 0 and waiting > 0 then
  -- Each customer takes at least one unit, and the one who leaves may be among them.
  for _, customer in ipairs(redis.call('ZRANGE', KEYS[3], 0, left)) do
    if customer ~= leaving then
      local entry = entries[customer] or redis.call('HGET', KEYS[2], customer) or ''
      local has, made, number, wants, order = string.match(entry, '^(%d+):(%d+):(%d+):(%d+):(.+)$')
      if not has then
        error({err = 'MALFORMED ' .. KEYS[2] .. ' ' .. customer})
      elseif tonumber(wants) > left then
        break
      end
      left, sold, has = left - wants, sold + wants, has + wants
      entries[customer] = has .. ':' .. made + 1
      gone[#gone + 1] = customer
      fields[#fields + 1] = customer .. ':' .. order
      fields[#fields + 1] = wants .. ':' .. left .. ':' .. has
      served[#served + 1] = customer .. ':' .. order .. ':' .. number .. ':' .. wants
    end
  end
end
waiting = waiting - #gone
for customer, entry in pairs(entries) do
  fields[#fields + 1] = customer
  fields[#fields + 1] = entry
end
require_commands('PEXPIREAT', 'ZREM', 'HSET')
-- Start with a command that is allowed when memory is full. Then the rest of the script is allowed too.
redis.call('PEXPIREAT', KEYS[2], kept_until)
-- The waitlist may be empty now, and is not touched again.
for first = 1, #gone, 1000 do
  redis.call('ZREM', KEYS[3], unpack(gone, first, math.min(first + 999, #gone)))
end
redis.call('HSET', KEYS[1], 'left', left, 'sold', sold, 'waiting', waiting)
for first = 1, #fields, 1000 do
  redis.call('HSET', KEYS[2], unpack(fields, first, math.min(first + 999, #fields)))
end
local totals = left .. ':' .. sold .. ':' .. waiting .. ':' .. numbers

---- finish_give_back
-- Stores the answer.
local answer = 'back:' .. units .. (#served > 0 and ':' .. table.concat(served, ':') or '')
redis.call('HSET', KEYS[2], ARGV[2], answer, ':totals', totals)
return {'GIVEN_BACK', answer}

---- finish_leave
-- Stores the new totals.
redis.call('HSET', KEYS[2], ':totals', totals)
return {'LEFT', table.concat(served, ':')}

---- place
-- Tells a customer's place on the waitlist.
-- KEYS: sale, purchases, waitlist
-- ARGV: customer
-- Replies: WAITING, ticket, customers ahead; or NOT_WAITING; or WAITLIST_LOST
local entry = redis.call('HGET', KEYS[2], ARGV[1])
local ahead = redis.call('ZRANK', KEYS[3], ARGV[1])
local ticket = string.match(entry or '', '^%d+:%d+:(.+)$')
if not ticket then
  return {'NOT_WAITING'}
elseif not ahead then
  return {'WAITLIST_LOST'}
end
return {'WAITING', ticket, ahead}

---- open
-- Opens a sale, or restores it if its key was lost.
-- KEYS: sale, purchases, waitlist
-- ARGV: plan as text, name, product, start (ms), end (ms), units, cap, places on the waitlist, kept until (ms)
-- Replies: OPENED; or CLEARED; or ANOTHER, time until it ends (ms); or OVER; or PURCHASES_LOST
local names = {'name', 'product', 'starts', 'ends', 'units', 'cap', 'places', 'kept_until'}
local sale = redis.call('HMGET', KEYS[1], unpack(names))
local exists = redis.call('EXISTS', KEYS[1]) == 1
local bought = redis.call('HMGET', KEYS[2], ':plan', ':totals')
local on_waitlist = redis.call('ZCARD', KEYS[3])
local now = now_ms()
local ends, same = 0, false
if exists then
  ends, same = whole(sale[4] or '', KEYS[1], 'ends'), true
  for i = 1, #names do
    same = same and sale[i] == ARGV[i + 1]
  end
  if same then
    return {bought[1] == ARGV[1] and 'OPENED' or 'PURCHASES_LOST'}
  end
elseif bought[1] then
  ends, same = tonumber(string.match(bought[1], '^%d+') or 0), bought[1] == ARGV[1]
end
local left, sold, waiting, numbers = ARGV[6], 0, 0, 0
if same then
  -- The sale's key was lost. What was bought says how the sale stood.
  left, sold, waiting, numbers = string.match(bought[2] or '', '^(%d+):(%d+):(%d+):(%d+)$')
  if not left then
    error({err = 'MALFORMED ' .. KEYS[2] .. ' :totals'})
  end
elseif ends > now then
  return {'ANOTHER', ends - now}
elseif tonumber(ARGV[5]) <= now then
  return {'OVER'}
elseif exists or bought[1] or on_waitlist > 0 then
  -- An earlier sale is over. Delete it and let the client call again: a script must not write a key that it has deleted.
  require_commands('UNLINK')
  for i = 1, 3 do
    redis.call('UNLINK', KEYS[i])
  end
  return {'CLEARED'}
end
require_commands('HSET', 'PEXPIREAT')
redis.call('HSET', KEYS[1], 'left', left, 'sold', sold, 'waiting', waiting, 'numbers', numbers)
for i = 1, #names do
  redis.call('HSET', KEYS[1], names[i], ARGV[i + 1])
end
redis.call('HSET', KEYS[2], ':plan', ARGV[1], ':totals', left .. ':' .. sold .. ':' .. waiting .. ':' .. numbers)
redis.call('PEXPIREAT', KEYS[1], ARGV[9])
redis.call('PEXPIREAT', KEYS[2], ARGV[9])
return {'OPENED'}

---- refill
-- Puts customers back on a waitlist that was lost.
-- KEYS: sale, purchases, waitlist
-- ARGV: for each customer who may be waiting: customer
-- Replies: REFILLED; or SALE_LOST
local kept_until = redis.call('HGET', KEYS[1], 'kept_until')
local entries = redis.call('HMGET', KEYS[2], unpack(ARGV))
redis.call('ZCARD', KEYS[3])
local members = {}
for i = 1, #ARGV do
  local number = string.match(entries[i] or '', '^%d+:%d+:(%d+):')
  if number then
    members[#members + 1] = number
    members[#members + 1] = ARGV[i]
  end
end
if not kept_until then
  return {'SALE_LOST'}
elseif #members > 0 then
  require_commands('ZADD', 'PEXPIREAT')
  redis.call('ZADD', KEYS[3], unpack(members))
  redis.call('PEXPIREAT', KEYS[3], kept_until)
end
return {'REFILLED'}

---- close
-- Deletes a sale.
-- KEYS: sale, purchases, waitlist
-- Replies: CLOSED; or NO_SALE
local exists = redis.call('HLEN', KEYS[1]) + redis.call('HLEN', KEYS[2]) + redis.call('ZCARD', KEYS[3])
if exists == 0 then
  return {'NO_SALE'}
end
require_commands('UNLINK')
for i = 1, 3 do
  redis.call('UNLINK', KEYS[i])
end
return {'CLOSED'}
