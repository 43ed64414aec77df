-- Puts a product under stock keeping. If it is there already, only its threshold changes.
--
-- ARGV: units free to sell, units at which the alert is raised or ''
local stock, refusal = open('', true)
if not stock then
  return refusal
end
stock.new = redis.call('EXISTS', KEYS[1]) == 0
if stock.new or stock.low_at ~= tonumber(ARGV[5]) then
  stock.low_at = tonumber(ARGV[5])
  write(stock, 'low_at', ARGV[5])
end
if stock.new then
  stock.free = tonumber(ARGV[4])
  tell(stock, 'set_up', 'x:', stock.free)
end
return answer(stock, stock.new and 'CREATED' or 'THERE', stock.free, stock.held, stock.sold)
