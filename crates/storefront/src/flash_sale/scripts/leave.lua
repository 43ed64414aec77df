-- Gives up a place in the line; who is behind may be content with what is left.
--
-- KEYS: sale, bought, line, tickets
-- ARGV: customer
local sale, refusal = read_sale()
if not sale then
  return refusal
end
local gone = redis.call('HDEL', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
if gone == 0 then
  return {'NOT_IN_LINE'}
end
return {'LEFT', unpack(serve(sale))}
