-- Units free, held and sold at this moment.
local stock, refusal = open('')
if not stock then
  return refusal
end
return answer(stock, 'LEVEL', stock.free, stock.held, stock.sold)
