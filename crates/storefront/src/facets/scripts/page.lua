-- A page of what is left by a selection, and the counts of every facet, each without what is ticked in it. Changes nothing.
--
-- KEYS: products, brands, categories, price, rating, the Sorted Set of the order, then the Sets of the ticked brands, then
--   those of the ticked categories
-- ARGV: 'ascending', 'descending' or 'by name', offset, limit, ticked brands, ticked categories, whether prices are ticked,
--   how many ranges and the ends of each, how many ratings and each, how many bounds of bands and each
local products, price, rating, index = KEYS[1], KEYS[4], KEYS[5], KEYS[6]
local way, offset, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local at = 3
local function argument()
  at = at + 1
  return tonumber(ARGV[at])
end
local brands, categories = argument(), argument()

-- What is ticked in each facet as lists of SKUs. The values of one facet have no product in common.
local BIT = {brand = 1, category = 2, price = 4, rating = 8}
local ticked = {}
if brands > 0 then
  ticked.brand = {}
  for i = 7, 6 + brands do
    table.insert(ticked.brand, redis.call('SMEMBERS', KEYS[i]))
  end
end
if categories > 0 then
  ticked.category = {}
  for i = 7 + brands, 6 + brands + categories do
    table.insert(ticked.category, redis.call('SMEMBERS', KEYS[i]))
  end
end
if argument() == 1 then
  ticked.price = {}
end
for _ = 1, argument() do
  local from, to = argument(), argument()
  table.insert(ticked.price, redis.call('ZRANGE', price, from, to, 'BYSCORE'))
end
local ratings = argument()
if ratings > 0 then
  ticked.rating = {}
  for _ = 1, ratings do
    local stars = argument()
    table.insert(ticked.rating, redis.call('ZRANGE', rating, stars, stars, 'BYSCORE'))
  end
end
local bounds = {}
for i = 1, argument() do
  bounds[i] = argument()
end

-- The facets that each product passes, as a sum of bits.
local passed, all = {}, 0
for facet, lists in pairs(ticked) do
  local bit = BIT[facet]
  all = all + bit
  for _, list in ipairs(lists) do
    for _, sku in ipairs(list) do
      passed[sku] = (passed[sku] or 0) + bit
    end
  end
end

-- Those that are left, and for each facet those which fail by it alone.
local hits, failed = {}, {brand = {}, category = {}, price = {}, rating = {}}
local only = {}
for facet in pairs(ticked) do
  only[all - BIT[facet]] = failed[facet]
end
for sku, bits in pairs(passed) do
  if bits == all then
    hits[#hits + 1] = sku
  elseif only[bits] then
    table.insert(only[bits], sku)
  end
end

-- A facet that no other narrows has the counts of the whole catalogue, which need not be counted.
local counted, malformed = {}, nil
for facet, bit in pairs(BIT) do
  counted[facet] = all ~= 0 and all ~= bit
end
malformed = count(products, hits, counted, bounds)
for facet, skus in pairs(failed) do
  malformed = malformed or counted[facet] and count(products, skus, {[facet] = true}, bounds)
end
if malformed then
  return {'MALFORMED', products, malformed}
end
if not counted.brand then counts.brand = totals_of(KEYS[2]) end
if not counted.category then counts.category = totals_of(KEYS[3]) end
if not counted.price then counts.price = total_prices(price, bounds) end
if not counted.rating then counts.rating = total_ratings(rating) end

local total, page = #hits, {}
if all == 0 then
  total = redis.call('HLEN', products)
  page = limit > 0 and in_order(index, way, offset, offset + limit - 1) or {}
elseif total <= 256 then
  local skus = sorted(hits, products, index, way)
  for i = offset + 1, math.min(offset + limit, total) do
    page[#page + 1] = skus[i]
  end
elseif offset < total then
  local function belongs(sku)
    return passed[sku] == all
  end
  page = walked(belongs, index, way, offset, math.min(limit, total - offset))
end

local records = {}
if #page > 0 then
  for i, record in ipairs(redis.call('HMGET', products, unpack(page))) do
    if not record then
      return {'MALFORMED', products, page[i]}
    end
    records[2 * i - 1], records[2 * i] = page[i], record
  end
end
local function flat(table)
  local list = {}
  for label, number in pairs(table) do
    list[#list + 1] = label
    list[#list + 1] = number
  end
  return list
end
for band = 1, #bounds + 1 do
  counts.price[band] = counts.price[band] or 0
end
return {'PAGE', total, records, flat(counts.brand), flat(counts.category), counts.price, counts.rating}
