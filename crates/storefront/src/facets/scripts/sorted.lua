-- The products of one page, in order. Both ways give the order of a Sorted Set: by score, then by the bytes of the SKU.

-- Lua's own < on texts follows the language of the server's environment.
local function comes_before(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then
      return x < y
    end
  end
  return #a < #b
end

-- Few products: sorts them.
local function sorted(skus, products, index, way)
  if #skus == 0 then
    return skus
  end
  local by = {}
  if way == 'by name' then
    local records = redis.call('HMGET', products, unpack(skus))
    for i, sku in ipairs(skus) do
      by[sku] = (string.match(records[i] or '', '^[^|]*|[^|]*|%d+|%d|%d+|%d+|(.*)$') or '') .. '\n' .. sku
    end
    table.sort(skus, function(a, b) return comes_before(by[a], by[b]) end)
    return skus
  end
  local scores = redis.call('ZMSCORE', index, unpack(skus))
  for i, sku in ipairs(skus) do
    by[sku] = tonumber(scores[i] or 0)
  end
  local function ascending(a, b)
    if by[a] ~= by[b] then
      return by[a] < by[b]
    end
    return comes_before(a, b)
  end
  table.sort(skus, way == 'ascending' and ascending or function(a, b) return ascending(b, a) end)
  return skus
end

-- Products of the order's Sorted Set from one rank to another.
local function in_order(index, way, first, last)
  if way == 'descending' then
    return redis.call('ZRANGE', index, first, last, 'REV')
  end
  local members = redis.call('ZRANGE', index, first, last)
  if way == 'by name' then
    for i, member in ipairs(members) do
      members[i] = string.match(member, '\n([^\n]*)$')
    end
  end
  return members
end

-- Many products: walks the order's Sorted Set until the page is full.
local function walked(belongs, index, way, offset, limit)
  local page, met, rank, step = {}, 0, 0, 256
  while #page < limit do
    local chunk = in_order(index, way, rank, rank + step - 1)
    if #chunk == 0 then
      return page
    end
    for _, sku in ipairs(chunk) do
      if belongs(sku) then
        met = met + 1
        if met > offset and #page < limit then
          page[#page + 1] = sku
        end
      end
    end
    rank = rank + step
  end
  return page
end
