-- A table of bits in one String. Each product has a column, each fact has a row of 4,096 bytes, and a bit says that the fact
-- holds for the product: "the brand is Acme", "it has four stars", "the price has bit 7". Products that fit several facts are
-- the AND of rows, and BITCOUNT counts them.
--
-- Rows: 0 products there are; 1 and 2 which rows of brands and categories are taken (their columns are not products); then those
-- of stars, price, popularity, time, and name, which the client chooses; from 358 on by turns a brand and a category.
--
-- A record is: column, brand, category, price, stars, popularity, time, name, rows below 358, each on a line. Brand, category,
-- name, and ID have no line breaks: a line break is \n, and a backslash is \\.

---- table
local products, ids, brands, categories, rows, bits = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local ROW, TAKEN_BRANDS, TAKEN_CATEGORIES, FIRST_VALUE, MAX_VALUES = 4096, 1, 2, 358, 1000

-- Every key says how much there is. If one of them was lost, they disagree.
local total = redis.call('HLEN', products)
local brand_count, category_count = redis.call('ZCARD', brands), redis.call('ZCARD', categories)
local whole_table = redis.call('HLEN', ids) == total and redis.call('BITCOUNT', bits, 0, ROW - 1) == total
  and redis.call('HLEN', rows) == brand_count + category_count
  and (total == 0) == (brand_count == 0) and (total == 0) == (category_count == 0)

---- change
-- Helpers for a change of one product.
if not whole_table then
  return {'LOST'}
end
local id = ARGV[1]
local record = redis.call('HGET', products, id)
local column, rows_before, brand_before, category_before
if record then
  column, brand_before, category_before, rows_before =
    string.match(record, '^(%d+)\n([^\n]+)\n([^\n]+)\n.*\n([%d ]+)$')
  if not column then
    error({err = 'MALFORMED ' .. products .. ' ' .. id})
  end
end

-- The rows of a list as a set, with those of brand and category.
local function set_of(list, brand_row, category_row)
  local set = {[brand_row] = true, [category_row] = true}
  for row in string.gmatch(list, '%d+') do
    set[tonumber(row)] = true
  end
  return set
end

-- Arguments of BITFIELD.
local writes = {}
local function write(row, at, bit)
  for _, word in ipairs({'SET', 'u1', row * ROW * 8 + at, bit}) do
    writes[#writes + 1] = word
  end
end

-- The row of the brand or category that a product has.
local function known_row(value)
  return tonumber(redis.call('HGET', rows, value)) or error({err = 'MALFORMED ' .. rows .. ' ' .. value})
end

-- Whether a product that leaves a brand or category is the last one there. Then the row is free.
local function is_last_of(values, value, taken, row)
  if (tonumber(redis.call('ZSCORE', values, value)) or 1) > 1 then
    return false
  end
  write(taken, math.floor((row - FIRST_VALUE) / 2), 0)
  return true
end

---- put
-- Replaces all bits of a product with those of a new state.
-- KEYS: products, ids, brands, categories, rows, bits
-- ARGV: product ID, brand, category, rows below 358, record from brand to name
-- Replies: ADDED; or CHANGED; or FULL; or TOO_MANY_VALUES; or LOST
local brand, category = ARGV[2], ARGV[3]

-- The row of a brand or category, or one that is free.
local function row_of(value, taken)
  local row = redis.call('HGET', rows, value)
  if row then
    return tonumber(row)
  end
  local from = taken * ROW
  local free = total > 0 and redis.call('BITPOS', bits, 0, from, from + MAX_VALUES / 8 - 1) - from * 8 or 0
  if free >= 0 then
    write(taken, free, 1)
    return FIRST_VALUE + 2 * free + taken - TAKEN_BRANDS
  end
end
local brand_row = row_of('brand:' .. brand, TAKEN_BRANDS)
local category_row = row_of('category:' .. category, TAKEN_CATEGORIES)
if not brand_row or not category_row then
  return {'TOO_MANY_VALUES'}
end
column = tonumber(column or redis.call('BITPOS', bits, 0, 0, ROW - 1))
if column < 0 then
  return {'FULL'}
end

local after, before = set_of(ARGV[4], brand_row, category_row), {}
local new_brand, new_category = brand ~= brand_before, category ~= category_before
local brand_ends, category_ends
if record then
  local former_brand_row = known_row('brand:' .. brand_before)
  local former_category_row = known_row('category:' .. category_before)
  before = set_of(rows_before, former_brand_row, former_category_row)
  brand_ends = new_brand and is_last_of(brands, brand_before, TAKEN_BRANDS, former_brand_row)
  category_ends = new_category and is_last_of(categories, category_before, TAKEN_CATEGORIES, former_category_row)
end
for row in pairs(after) do
  if not before[row] then
    write(row, column, 1)
  end
end
for row in pairs(before) do
  if not after[row] then
    write(row, column, 0)
  end
end

require_commands('HSET', 'BITFIELD', 'ZINCRBY', 'ZREM', 'HDEL')
redis.call('HSET', products, id, column .. '\n' .. ARGV[5] .. '\n' .. ARGV[4])
redis.call('HSET', ids, column, id)
redis.call('HSET', rows, 'brand:' .. brand, brand_row, 'category:' .. category, category_row)
if new_brand then
  redis.call('ZINCRBY', brands, 1, brand)
end
if new_category then
  redis.call('ZINCRBY', categories, 1, category)
end
if #writes > 0 then
  redis.call('BITFIELD', bits, unpack(writes))
end
if not record then
  return {'ADDED'}
end
if brand_ends then
  redis.call('ZREM', brands, brand_before)
  redis.call('HDEL', rows, 'brand:' .. brand_before)
elseif new_brand then
  redis.call('ZINCRBY', brands, -1, brand_before)
end
if category_ends then
  redis.call('ZREM', categories, category_before)
  redis.call('HDEL', rows, 'category:' .. category_before)
elseif new_category then
  redis.call('ZINCRBY', categories, -1, category_before)
end
return {'CHANGED'}

---- remove
-- Clears all bits of a product.
-- KEYS: products, ids, brands, categories, rows, bits
-- ARGV: product ID
-- Replies: REMOVED; or UNKNOWN; or LOST
if not record then
  return {'UNKNOWN'}
end
if total == 1 then
  require_commands('UNLINK')
  redis.call('UNLINK', unpack(KEYS))
  return {'REMOVED'}
end
local brand_row = known_row('brand:' .. brand_before)
local category_row = known_row('category:' .. category_before)
for row in pairs(set_of(rows_before, brand_row, category_row)) do
  write(row, column, 0)
end
local brand_ends = is_last_of(brands, brand_before, TAKEN_BRANDS, brand_row)
local category_ends = is_last_of(categories, category_before, TAKEN_CATEGORIES, category_row)

-- HDEL first, which works when memory is full.
require_commands('HDEL', 'BITFIELD', 'ZINCRBY', 'ZREM')
redis.call('HDEL', products, id)
redis.call('HDEL', ids, column)
redis.call('BITFIELD', bits, unpack(writes))
if brand_ends then
  redis.call('ZREM', brands, brand_before)
  redis.call('HDEL', rows, 'brand:' .. brand_before)
else
  redis.call('ZINCRBY', brands, -1, brand_before)
end
if category_ends then
  redis.call('ZREM', categories, category_before)
  redis.call('HDEL', rows, 'category:' .. category_before)
else
  redis.call('ZINCRBY', categories, -1, category_before)
end
return {'REMOVED'}

---- repair
-- Removes the other keys if one was lost.
-- KEYS: products, ids, brands, categories, rows, bits
-- Replies: EMPTIED; or WHOLE
if whole_table then
  return {'WHOLE'}
end
require_commands('UNLINK')
redis.call('UNLINK', unpack(KEYS))
return {'EMPTIED'}

---- page
-- Finds one page of the products that match a selection, and counts every facet without its own selection. The scratch keys are
-- not replicated and are deleted at the end.
-- KEYS: products, ids, brands, categories, rows, bits, scratch 1, scratch 2, scratch 3
-- ARGV: offset, limit, direction (ascending or descending), rows to sort by (most significant bit first), row of one star, row of
--   the lowest price bit, number of price bits, max brands and categories to count, number of selected brands or -1 for no
--   selection, then for each brand: brand, number of selected categories or -1, then for each category: category, number of
--   selected stars or -1, then for each: stars, number of price bounds or -1, then for each price range: first price (cents),
--   first price above it (cents), number of price bands, then for each band: first price (cents)
-- Replies: PAGE, products found, products to skip, IDs and records (list), counts of brands (list), counts of categories (list),
--   counts of price bands (list), counts of stars (list); or EMPTY; or LOST
if not whole_table then
  return {'LOST'}
end
if total == 0 then
  return {'EMPTY'}
end
local first, second, third = KEYS[7], KEYS[8], KEYS[9]
local offset, limit, descending = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == 'descending'
local star_row, price_row, price_bits, max_counted = ARGV[5] + 0, ARGV[6] + 0, ARGV[7] + 0, tonumber(ARGV[8])
local argument = 8
local function next_list()
  argument = argument + 1
  local length, list = tonumber(ARGV[argument]), {}
  for i = 1, length do
    list[i] = ARGV[argument + i]
  end
  argument = argument + math.max(length, 0)
  return length >= 0 and list
end
local selected_brands, selected_categories, selected_stars = next_list(), next_list(), next_list()
local price_ranges, bands = next_list(), next_list()

-- Intermediate results are written, so the commands that read from here on count, too. DEL first, so that pages work when memory
-- is full.
require_commands('DEL', 'SET', 'GET', 'GETRANGE', 'BITOP', 'BITCOUNT', 'HMGET', 'ZRANGE', 'ZSCORE')
redis.set_repl(redis.REPL_NONE)
redis.call('DEL', first, second, third)

-- All rows are read up to the last product.
local everything = redis.call('GETRANGE', bits, 0, ROW - 1)
local width = ROW - #string.match(string.reverse(everything), '^%z*')
everything = string.sub(everything, 1, width)
local nothing = string.rep('\0', width)
local function row(number)
  return redis.call('GETRANGE', bits, number * ROW, number * ROW + width - 1)
end

-- The result is put into the first key, and combined with one bitmap after the other.
local function begin(bitmap)
  redis.call('SET', first, bitmap)
end
local function combine(how, bitmap)
  redis.call('SET', second, bitmap)
  redis.call('BITOP', how, first, first, second)
end
local function result()
  return redis.call('GET', first)
end

local function union(numbers)
  begin(nothing)
  for _, number in ipairs(numbers) do
    combine('OR', row(number))
  end
  return result()
end

-- The products that cost at least this much: from the lowest bit of the price up, a 1 demands a 1, and a 0 also takes any price
-- that has a 1 there.
local price_rows = {}
for bit = price_bits - 1, 0, -1 do
  local from = (price_row + bit) * ROW
  -- No price is that high.
  if #price_rows == 0 and redis.call('BITCOUNT', bits, from, from + ROW - 1) == 0 then
    price_bits = bit
  else
    price_rows[#price_rows + 1] = row(price_row + bit)
  end
end
local function costing(cents)
  if cents >= 2 ^ price_bits then
    return nothing
  end
  begin(everything)
  local lowest = 0
  while cents % 2 ^ (lowest + 1) == 0 and lowest < price_bits do
    lowest = lowest + 1
  end
  for bit = lowest, price_bits - 1 do
    combine(math.floor(cents / 2 ^ bit) % 2 == 1 and 'AND' or 'OR', price_rows[price_bits - bit])
  end
  return result()
end

-- What each facet lets through; nil if nothing is selected in it.
local passing = {}
local function of_values(facet, selected)
  local fields, numbers = {}, {}
  for i, value in ipairs(selected) do
    fields[i] = facet .. value
  end
  for _, number in pairs(redis.call('HMGET', rows, unpack(fields))) do
    -- A value that no product has adds nothing.
    numbers[#numbers + 1] = tonumber(number)
  end
  return union(numbers)
end
if selected_brands then
  passing.brand = of_values('brand:', selected_brands)
end
if selected_categories then
  passing.category = of_values('category:', selected_categories)
end
if selected_stars then
  local numbers = {}
  for i, stars in ipairs(selected_stars) do
    numbers[i] = star_row + stars - 1
  end
  passing.stars = union(numbers)
end
if price_ranges then
  passing.price = nothing
  for i = 1, #price_ranges, 2 do
    local at_least, above = costing(tonumber(price_ranges[i])), costing(tonumber(price_ranges[i + 1]))
    begin(at_least)
    combine('XOR', above)
    combine('OR', passing.price)
    passing.price = result()
  end
end
local function passing_all_but(facet)
  begin(everything)
  for other, bitmap in pairs(passing) do
    if other ~= facet then
      combine('AND', bitmap)
    end
  end
  return result()
end

-- Counts what passes all facets but this one, from then on.
local everything_passes
local function count_without(facet)
  everything_passes = next(passing) == nil or passing[facet] ~= nil and next(passing, next(passing)) == nil
  begin(passing_all_but(facet))
end
local function count(bitmap)
  redis.call('SET', second, bitmap)
  redis.call('BITOP', 'AND', second, first, second)
  return redis.call('BITCOUNT', second)
end
local function count_row(number)
  if everything_passes then
    return redis.call('BITCOUNT', bits, number * ROW, number * ROW + ROW - 1)
  end
  return count(row(number))
end

local function count_values(facet, values, selected)
  local names, listed = redis.call('ZRANGE', values, 0, max_counted - 1, 'REV'), {}
  for _, name in ipairs(names) do
    listed[name] = true
  end
  for _, name in ipairs(selected or {}) do
    if not listed[name] and redis.call('ZSCORE', values, name) then
      names[#names + 1] = name
    end
  end
  local fields, counts = {}, {}
  for i, name in ipairs(names) do
    fields[i] = facet .. ':' .. name
  end
  count_without(facet)
  for i, number in ipairs(redis.call('HMGET', rows, unpack(fields))) do
    local products_left = number and count_row(number) or 0
    if products_left > 0 then
      counts[#counts + 1] = names[i]
      counts[#counts + 1] = products_left
    end
  end
  return counts
end
local brand_counts = count_values('brand', brands, selected_brands)
local category_counts = count_values('category', categories, selected_categories)
local at_least, price_counts, star_counts = {everything}, {}, {}
for i, cents in ipairs(bands) do
  at_least[i + 1] = costing(tonumber(cents))
end
count_without('price')
for i, bitmap in ipairs(at_least) do
  price_counts[i] = count(bitmap)
end
count_without('stars')
for stars = 1, 5 do
  star_counts[stars] = count_row(star_row + stars - 1)
end


-- The columns of the result's bits, from one position on.
local function columns_of_result(from, how_many)
  local byte = 0
  while true do
    local before = redis.call('BITCOUNT', first, byte, byte + 63)
    if before > from or byte >= width then
      break
    end
    from, byte = from - before, byte + 64
  end
  local set, columns = result(), {}
  byte = string.find(set, '[^%z]', byte + 1)
  while byte and #columns < how_many do
    local value = string.byte(set, byte)
    for bit = 0, 7 do
      if value >= 128 then
        if from > 0 then
          from = from - 1
        elseif #columns < how_many then
          columns[#columns + 1] = (byte - 1) * 8 + bit
        end
        value = value - 128
      end
      value = value * 2
    end
    byte = string.find(set, '[^%z]', byte + 1)
  end
  return columns
end

-- The products of the page. The highest bit of what they are sorted by splits them into those that come first and the rest; the
-- next bit splits each of these, and so on. A part before the page is skipped by its count, a small one is taken whole (the
-- client sorts it), and only the parts at the edges of the page are split. So it takes at most a few steps for each
-- bit, however many products are left and whatever the offset is.
local order = {}
for number in string.gmatch(ARGV[4], '%d+') do
  order[#order + 1] = tonumber(number)
end
begin(passing_all_but(nil))
local left_count = redis.call('BITCOUNT', first)
local columns, skip, skip_in_reply, small = {}, offset, 0, math.ceil(limit / 2)
-- The part that is the result now, and those after it.
local size, bit, later = left_count, 1, {}
while size and #columns < limit + skip_in_reply do
  local wanted = skip + limit + skip_in_reply - #columns
  local is_done = size <= skip or size <= small or not order[bit]
  if size <= skip then
    skip = skip - size
  elseif is_done then
    local is_small = size <= small
    -- If it is not small, all of them are equal, so that they are in the order of their columns.
    local taken = columns_of_result(is_small and 0 or skip, is_small and size or wanted - skip)
    for _, column in ipairs(taken) do
      columns[#columns + 1] = column
    end
    skip, skip_in_reply = 0, skip_in_reply + (is_small and skip or 0)
  else
    local from, ones = order[bit] * ROW, 0
    local ones_in_table = redis.call('BITCOUNT', bits, from, from + ROW - 1)
    -- A row that all products have in common splits nothing.
    if ones_in_table > 0 and ones_in_table < total then
      redis.call('SET', second, row(order[bit]))
      redis.call('BITOP', 'AND', third, first, second)
      ones = redis.call('BITCOUNT', third)
    end
    bit = bit + 1
    if ones > 0 and ones < size then
      local front = descending and ones or size - ones
      local ones_next = (front > skip) == descending
      if front > skip and front < wanted then
        if descending then
          redis.call('BITOP', 'XOR', second, first, third)
        end
        later[#later + 1] = {redis.call('GET', descending and second or third), size - front, bit}
      end
      if front <= skip then
        skip, front = skip - front, size - front
      end
      size = front
      if ones_next then
        first, third = third, first
      else
        redis.call('BITOP', 'XOR', first, first, third)
      end
    end
  end
  if is_done then
    local part = table.remove(later)
    size, bit = nil, nil
    if part then
      begin(part[1])
      size, bit = part[2], part[3]
    end
  end
end
redis.call('DEL', first, second, third)

local page = {}
if #columns > 0 then
  local page_ids = redis.call('HMGET', ids, unpack(columns))
  for i = 1, #columns do
    page_ids[i] = page_ids[i] or ''
  end
  local records = redis.call('HMGET', products, unpack(page_ids))
  for i, record in ipairs(records) do
    -- Without the rows.
    page[2 * i - 1], page[2 * i] = page_ids[i], record and string.match(record, '^(.*)\n') or ''
  end
end
return {'PAGE', left_count, skip_in_reply, page, brand_counts, category_counts, price_counts, star_counts}
