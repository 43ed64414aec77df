-- How many products each value of each facet has.

local PER_CALL = 1000

local counts = {brand = {}, category = {}, price = {}, rating = {0, 0, 0, 0, 0}}

-- The band of a price: 1 below the first bound, and one more for each bound that is not above it.
local function band_of(cents, bounds)
  local band = 1
  while bounds[band] and bounds[band] <= cents do
    band = band + 1
  end
  return band
end

local function add(table, value)
  table[value] = (table[value] or 0) + 1
end

-- Adds products to the counts of the named facets. Gives the SKU of one whose record cannot be read, or nil.
local function count(products, skus, facets, bounds)
  local brands, categories = facets.brand and counts.brand, facets.category and counts.category
  local prices, ratings = facets.price and counts.price, facets.rating and counts.rating
  for first = 1, #skus, PER_CALL do
    local records = redis.call('HMGET', products, unpack(skus, first, math.min(first + PER_CALL - 1, #skus)))
    for i, record in ipairs(records) do
      local brand, category, cents, stars = string.match(record or '', '^([^|]*)|([^|]*)|(%d+)|([1-5])|')
      if not brand then
        return skus[first + i - 1]
      end
      if brands then add(brands, brand) end
      if categories then add(categories, category) end
      if prices then add(prices, band_of(tonumber(cents), bounds)) end
      if ratings then add(ratings, tonumber(stars)) end
    end
  end
end

-- Counts of the whole catalogue, which are kept.
local function totals_of(key)
  local stored, totals = redis.call('HGETALL', key), {}
  for i = 1, #stored, 2 do
    totals[stored[i]] = tonumber(stored[i + 1])
  end
  return totals
end

local function total_prices(price, bounds)
  local totals = {}
  for band = 1, #bounds + 1 do
    local from, below = bounds[band - 1] or '-inf', bounds[band]
    totals[band] = redis.call('ZCOUNT', price, from, below and '(' .. below or '+inf')
  end
  return totals
end

local function total_ratings(rating)
  local totals = {}
  for stars = 1, 5 do
    totals[stars] = redis.call('ZCOUNT', rating, stars, stars)
  end
  return totals
end
