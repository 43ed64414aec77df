-- Gives up a place in the line; who is behind may be content with what is left.
--
-- KEYS: sale, bought, line, tickets
-- ARGV: customer
local sale, refusal = read_sale()
if not sale then
  return refusal
end
if redis.call('HEXISTS', KEYS[4], ARGV[1]) == 0 then
  redis.call('ZREM', KEYS[3], ARGV[1])
  return {'NOT_IN_LINE'}
end
local answer = serve(sale, ARGV[1])
-- If these are the first who have bought, the key is new.
if #answer > 0 then
  redis.call('PEXPIREAT', KEYS[2], sale.kept_until)
end
table.insert(answer, 1, 'LEFT')
return answer
