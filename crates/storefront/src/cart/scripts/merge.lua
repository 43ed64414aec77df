-- Moves a guest's cart into a user's, in one step. Units leave one cart as they enter the other, so a second run finds
-- nothing to double.
--
-- KEYS: the guest's quantities, prices, deadlines; the user's quantities, prices, deadlines; the user
-- ARGV: cart TTL in ms, the guest's channel, the guest, the user's channel, the user, most units in a line, most lines
local ttl, most_units, most_lines = ARGV[1], tonumber(ARGV[6]), tonumber(ARGV[7])

local wrong = unknown_user(KEYS[7])
if wrong then
  return wrong
end
local guest, refusal = open(1, ARGV[2])
if not guest then
  return refusal
end
local user, refusal = open(4, ARGV[4])
if not user then
  return refusal
end

local moved, left, units = transfer(guest.lines, user, most_units, most_lines)
for _, pair in ipairs(moved) do
  local sku, quantity = pair[1], pair[2]
  local line = guest.lines[sku]
  if quantity == line.quantity then
    drop(guest, sku)
  else
    put(guest, sku, {quantity = line.quantity - quantity, seen = line.seen, deadline = line.deadline})
  end
end
slide(guest, ttl)
slide(user, ttl)
if units > 0 then
  publish(guest, 'merged', ARGV[3], nil, -units)
  publish(user, 'merged', ARGV[5], nil, units)
end
return {'MERGED', moved, left}
