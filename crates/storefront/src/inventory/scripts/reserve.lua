-- Takes units out of those free to sell and holds them for a time, all or none, once per id.
--
-- ARGV: the record's field, units, ms to hold them
local field, units, till = ARGV[4], tonumber(ARGV[5]), now + tonumber(ARGV[6])
local stock, refusal = open(field)
if not stock then
  return refusal
end
local state, had, held_till = read(stock.record)
if state == 'held' then
  return answer(stock, 'HELD_BEFORE', stock.free, held_till, had)
elseif state then
  return answer(stock, 'SETTLED', state, had)
elseif units > stock.free then
  return answer(stock, 'OUT_OF_STOCK', stock.free)
end
stock.free, stock.held = stock.free - units, stock.held + units
hold(stock, field, units, till)
tell(stock, 'held', field, units)
return answer(stock, 'HELD', stock.free, till, units)
