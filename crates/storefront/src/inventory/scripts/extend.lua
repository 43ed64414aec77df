-- Holds what is held for longer; never for less.
--
-- ARGV: the record's field, ms from now
local field = ARGV[4]
local stock, refusal = open(field)
if not stock then
  return refusal
end
local state, units, till = read(stock.record)
if state ~= 'held' then
  return answer(stock, 'SETTLED', state or 'unknown', units or 0)
end
till = math.max(till or 0, now + tonumber(ARGV[5]))
hold(stock, field, units, till)
return answer(stock, 'EXTENDED', till, units)
