-- Lines leave by the TTL of their own fields, in the quantities and in the prices alike.
local expiry = {}

-- The deadlines of the given SKUs that have one, in milliseconds of the Unix epoch. HGETALL leaves out what has expired,
-- also before Redis gets round to freeing it (HLEN counts that, so nothing here asks HLEN). In the very millisecond of the
-- deadline, HGETALL of Redis 8.2 still shows a field that for HPEXPIRETIME is gone (-2), not one without deadline (-1).
function expiry.of(cart, skus)
  local deadlines = {}
  -- Lua's unpack gives up at some 8000 values.
  for first = 1, #skus, 1000 do
    local last = math.min(first + 999, #skus)
    local times = redis.call('HPEXPIRETIME', cart.quantities, 'FIELDS', last - first + 1, unpack(skus, first, last))
    for i, time in ipairs(times) do
      if time ~= -1 then
        deadlines[skus[first + i - 1]] = time
      end
    end
  end
  return deadlines
end

-- HSET has just taken away any TTL the field had, so a line without deadline needs nothing.
function expiry.set(cart, sku, deadline)
  if deadline then
    redis.call('HPEXPIREAT', cart.quantities, integer(deadline), 'FIELDS', 1, sku)
    redis.call('HPEXPIREAT', cart.prices, integer(deadline), 'FIELDS', 1, sku)
  end
end
