-- Adds units to those free to sell, once per delivery.
--
-- ARGV: the record's field, units
local field, units = ARGV[4], tonumber(ARGV[5])
local stock, refusal = open(field)
if not stock then
  return refusal
end
if stock.record then
  return answer(stock, 'THERE', stock.free, stock.held, stock.sold)
end
if stock.free + stock.held + stock.sold + units > HIGHEST then
  return answer(stock, 'TOO_MANY')
end
stock.free = stock.free + units
settle(stock, field, 'restocked', units)
tell(stock, 'restocked', field, units)
return answer(stock, 'RESTOCKED', stock.free, stock.held, stock.sold)
