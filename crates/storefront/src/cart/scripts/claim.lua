-- A claim's lines (SKU to line) from a flat list of field and value; lines whose deadline has passed are left out.
local function claimed_lines(fields, first)
  local lines = {}
  for i = first, #fields, 2 do
    local sku = string.match(fields[i], '^line:([%w._-]+)$')
    local quantity, seen, deadline = string.match(fields[i + 1], '^(%d+) ([%d-]+) ([%d-]+)$')
    if sku and quantity then
      local line = {quantity = tonumber(quantity), seen = tonumber(seen), deadline = tonumber(deadline)}
      if not line.deadline or line.deadline > now then
        lines[sku] = line
      end
    end
  end
  return lines
end
