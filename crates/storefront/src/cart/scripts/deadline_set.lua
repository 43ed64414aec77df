-- Lines leave by a companion Sorted Set of deadlines, which every script looks at first.
local expiry = {}

-- The deadlines of all lines that have one, in milliseconds of the Unix epoch.
function expiry.of(cart)
  local deadlines, found = {}, redis.call('ZRANGE', cart.deadlines, 0, -1, 'WITHSCORES')
  for i = 1, #found, 2 do
    deadlines[found[i]] = tonumber(found[i + 1])
    cart.here.deadlines[found[i]] = true
  end
  return deadlines
end

-- One that the line no longer has goes at the end, with what leaves.
function expiry.set(cart, sku, deadline)
  if deadline then
    redis.call('ZADD', cart.deadlines, integer(deadline), sku)
    cart.here.deadlines[sku] = true
  end
end
