-- Last step of a merge across slots: what did not fit returns to the guest's cart, and the claim is gone. Units that the
-- guest has added meanwhile stay; a line can so exceed its limit, since dropping units would be worse.
--
-- KEYS: the guest's quantities, prices, deadlines, claim
-- ARGV: cart TTL in ms, channel, owner, merge id, then SKU and quantity of every line left
local ttl, channel, owner, id = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local wrong = other_type(KEYS[4], 'hash')
if wrong then
  return wrong
end
if redis.call('HGET', KEYS[4], 'id') ~= id then
  return {'FINISHED'}
end
local guest, refusal = open(1, channel)
if not guest then
  return refusal
end

local claimed, units = claimed_lines(redis.call('HGETALL', KEYS[4]), 1), 0
for _, line in pairs(claimed) do
  units = units + line.quantity
end
for i = 5, #ARGV, 2 do
  local sku, quantity = ARGV[i], tonumber(ARGV[i + 1])
  local line, there = claimed[sku], guest.lines[sku]
  -- A line may have reached its deadline since it was claimed.
  if line then
    units = units - quantity
    if there then
      line.deadline = there.deadline and line.deadline and math.max(there.deadline, line.deadline) or nil
    end
    put(guest, sku, {
      quantity = (there and there.quantity or 0) + quantity,
      seen = there and there.seen or line.seen,
      deadline = line.deadline,
    })
  end
end
redis.call('UNLINK', KEYS[4])
slide(guest, ttl)
if units > 0 then
  publish(guest, 'merged', owner, nil, -units)
end
return {'FINISHED'}
