-- A price as a product's Hash shows it ('20', '19.9', '19.99') in whole cents; nil for anything else.
-- It goes through integers only: tonumber('19.99') * 100 is 1998.9999999999998.
local function cents(price)
  local whole, fraction = string.match(price or '', '^(%d+)%.(%d%d?)$')
  if not whole then
    whole, fraction = string.match(price or '', '^(%d+)$'), '0'
  end
  if not whole or #whole > 8 then
    return nil
  end
  local total = tonumber(whole) * 100 + tonumber(fraction) * (#fraction == 1 and 10 or 1)
  -- Cents::MAX_PRICE.
  return total <= 1000000000 and total or nil
end
