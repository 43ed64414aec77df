-- Sells what is held, once.
--
-- ARGV: the record's field, 'late' if an expired hold may be taken anew from what is free now
local field, late = ARGV[4], ARGV[5] == 'late'
local stock, refusal = open(field)
if not stock then
  return refusal
end
local state, units = read(stock.record)
if state == 'sold' then
  return answer(stock, 'SOLD_BEFORE', units)
elseif state == 'held' then
  stock.held = stock.held - units
elseif state == 'expired' and late then
  if units > stock.free then
    return answer(stock, 'OUT_OF_STOCK', stock.free)
  end
  stock.free = stock.free - units
else
  return answer(stock, 'SETTLED', state or 'unknown', units or 0)
end
stock.sold = stock.sold + units
settle(stock, field, 'sold', units)
tell(stock, 'sold', field, units)
return answer(stock, 'SOLD', units)
