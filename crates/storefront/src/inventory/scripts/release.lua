-- Returns what is held to sale, once. An id that holds nothing is spent by it: a reservation that arrives late, sent before
-- its sender gave up, must not take a unit that nobody will ever release.
--
-- ARGV: the record's field, 'even sold' if units that were sold come back too
local field, even_sold = ARGV[4], ARGV[5] == 'even sold'
local stock, refusal = open(field)
if not stock then
  return refusal
end
local state, units = read(stock.record)
if state == 'held' then
  stock.held = stock.held - units
elseif state == 'sold' and even_sold then
  stock.sold = stock.sold - units
elseif state == 'sold' then
  return answer(stock, 'SETTLED', state, units)
elseif state then
  return answer(stock, 'RELEASED_BEFORE', units)
else
  settle(stock, field, 'released', 0)
  return answer(stock, 'RELEASED', 0)
end
stock.free = stock.free + units
settle(stock, field, 'released', units)
tell(stock, state == 'sold' and 'returned' or 'released', field, units)
return answer(stock, 'RELEASED', units)
