-- Replaces a week by what its days add up to. The days are in other slots, so their sums come along.
--
-- It deletes and writes again, and could not while the slot is half way to another server: there the deleted key would be
-- missed. It does not begin there either, because the place to copy to is missing from the start (TRYAGAIN).
--
-- KEYS: metrics, visitors, products, a place to copy to
-- ARGV: ms the week is kept, how many metrics, metric and sum of each, how many products, SKU and revenue of each,
--       the HyperLogLogs of the days
local metrics, visitors, products, copy = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local wrong = other_type(metrics, 'hash') or other_type(visitors, 'string') or other_type(products, 'zset')
if wrong then
  return wrong
end
redis.call('DEL', metrics, visitors, products)

local position = 2
-- Hands over the next pairs, as many as the number before them says.
local function each_pair(write)
  local first, last = position + 1, position + 2 * tonumber(ARGV[position])
  for i = first, last, 2 do
    write(ARGV[i], ARGV[i + 1])
  end
  position = last + 1
end
each_pair(function(metric, sum) redis.call('HSET', metrics, metric, sum) end)
each_pair(function(sku, revenue) redis.call('ZADD', products, revenue, sku) end)
for i = position, #ARGV do
  redis.call('SET', copy, ARGV[i])
  redis.call('PFMERGE', visitors, copy)
end
redis.call('DEL', copy)
for i = 1, 3 do
  redis.call('PEXPIRE', KEYS[i], ARGV[1])
end
return {'REPLACED', redis.call('PFCOUNT', visitors)}
