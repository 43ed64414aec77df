-- Moves what fits of `lines` (SKU to line) into the user's cart; both merges are built on it.
-- Gives two lists: {SKU, quantity} of what was moved, {SKU, quantity, why} of what was left; and the units moved.
local function transfer(lines, target, most_units, most_lines)
  local skus, moved, left, units = {}, {}, {}, 0
  for sku in pairs(lines) do
    skus[#skus + 1] = sku
  end
  -- In this order, so that which lines fit does not depend on how Lua walks a table.
  table.sort(skus)
  local taken = count(target)
  for _, sku in ipairs(skus) do
    local line, there = lines[sku], target.lines[sku]
    local have = there and there.quantity or 0
    local fits = math.max(0, math.min(line.quantity, most_units - have))
    local why = 'LINE_LIMIT'
    if not there and taken >= most_lines then
      fits, why = 0, 'CART_FULL'
    end
    if fits > 0 then
      local deadline = line.deadline
      if there then
        -- The later deadline: nothing may leave earlier than was promised for either. None is the latest of all.
        deadline = there.deadline and line.deadline and math.max(there.deadline, line.deadline) or nil
      else
        taken = taken + 1
      end
      put(target, sku, {quantity = have + fits, seen = there and there.seen or line.seen, deadline = deadline})
      moved[#moved + 1] = {sku, fits}
      units = units + fits
    end
    if fits < line.quantity then
      left[#left + 1] = {sku, line.quantity - fits, why}
    end
  end
  return moved, left, units
end
