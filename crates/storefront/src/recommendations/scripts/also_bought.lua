-- Counts an order for each of these products, unless it was counted for that one before.
--
-- KEYS: for each product what was also bought, the orders counted lately, how many orders it was in
-- ARGV: order, most neighbours, most orders remembered, ms the keys live on, how many products have keys here,
--       the SKUs of these, then the SKUs of the whole order
local order, most_neighbours, most_orders = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local products = tonumber(ARGV[5])

local fresh, sizes = {}, {}
for i = 1, products do
  local key = 3 * i - 2
  sizes[i] = redis.call('ZCARD', KEYS[key])
  local support = redis.call('GET', KEYS[key + 2]) or '0'
  if not (string.match(support, '^%d+$') and tonumber(support) < 9007199254740992) then
    return {'MALFORMED', KEYS[key + 2], support}
  end
  if not redis.call('ZSCORE', KEYS[key + 1], order) then
    fresh[#fresh + 1] = i
  end
end

local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
for _, i in ipairs(fresh) do
  local also_bought, orders, support = KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i]
  redis.call('ZADD', orders, now, order)
  redis.call('ZREMRANGEBYRANK', orders, 0, -1 - most_orders)
  redis.call('INCR', support)
  for j = 6 + products, #ARGV do
    if ARGV[j] ~= ARGV[5 + i] then
      redis.call('ZINCRBY', also_bought, 1, ARGV[j])
    end
  end
  -- Twice as many as there may be, so that a newcomer has time to be bought again.
  if sizes[i] + #ARGV - 6 - products > 2 * most_neighbours then
    redis.call('ZREMRANGEBYRANK', also_bought, 0, -1 - most_neighbours)
  end
  for key = 3 * i - 2, 3 * i do
    redis.call('PEXPIRE', KEYS[key], ARGV[4])
  end
end
return {'COUNTED', #fresh}
