-- A table of bits in one String. Each product has a column, each fact has a row of 4,096 bytes, and a bit says that the fact
-- holds for the product: "the brand is Acme", "it has four stars", "the price has bit 7". Products that fit several facts are
-- the AND of rows, and BITCOUNT counts them.
--
-- Rows: 0 products there are; 1 and 2 which rows of brands and categories are taken (their columns are not products); then those
-- of stars, price, popularity, time, and name, which the client chooses; from 358 on by turns a brand and a category.
--
-- A record is: column, rows below 358, brand, category, price, stars, popularity, time, name, each on a line. Brand, category,
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
if not whole_table then
  return {'LOST'}
end
local id = ARGV[1]
local record = redis.call('HGET', products, id)
local column, rows_before, brand_before, category_before
if record then
  column, rows_before, brand_before, category_before =
    string.match(record, '^(%d+)\n([%d ]+)\n([^\n]+)\n([^\n]+)\n')
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
-- Replaces all bits of a product by those of a new state.
--
-- KEYS: products, ids, brands, categories, rows, bits
-- ARGV: ID, brand, category, the rows below 358, the record from the brand on
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
redis.call('HSET', products, id, column .. '\n' .. ARGV[4] .. '\n' .. ARGV[5])
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
--
-- KEYS: products, ids, brands, categories, rows, bits
-- ARGV: ID
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
-- Removes what is left if one of the keys was lost.
--
-- KEYS: products, ids, brands, categories, rows, bits
if whole_table then
  return {'WHOLE'}
end
require_commands('UNLINK')
redis.call('UNLINK', unpack(KEYS))
return {'EMPTIED'}

---- page
-- A page of the products that fit a selection, and the counts of every facet, each without what is selected in it.
--
-- KEYS: products, ids, brands, categories, rows, bits, two keys for intermediate results, which are not replicated and are deleted
--   in the end
-- ARGV: offset, limit, 'ascending' or 'descending', the rows of the order from the most significant bit on, the row of one star,
--   the row of a price's lowest bit and how many follow, how many brands and categories are counted, then five lists, each
--   after its length: selected brands, categories, stars, pairs of prices (from the first to below the second), the prices at
--   which bands begin. If nothing is selected in a facet, its length is -1.
if not whole_table then
  return {'LOST'}
end
if total == 0 then
  return {'EMPTY'}
end
local first, second = KEYS[7], KEYS[8]
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

require_commands('DEL', 'SET', 'BITOP')
-- Intermediate results are nobody else's business. DEL first, so that pages work when memory is full.
redis.set_repl(redis.REPL_NONE)
redis.call('DEL', first, second)

-- All rows are read up to the last product.
local everything = redis.call('GETRANGE', bits, 0, ROW - 1)
local width = ROW - #string.match(string.reverse(everything), '^%z*')
everything = string.sub(everything, 1, width)
local nothing = string.rep('\0', width)
local function row(number)
  return redis.call('GETRANGE', bits, number * ROW, number * ROW + width - 1)
end

-- AND, OR, or XOR of two bitmaps.
local function combine(how, a, b)
  redis.call('SET', first, a)
  redis.call('SET', second, b)
  redis.call('BITOP', how, second, first, second)
  return redis.call('GET', second)
end

local function union(numbers)
  local set = nothing
  for _, number in ipairs(numbers) do
    set = combine('OR', set, row(number))
  end
  return set
end

-- The products that cost at least this much: from the lowest bit of the price up, a 1 demands a 1, and a 0 is happy with any
-- price that has a 1 there.
local function costing(cents)
  redis.call('SET', first, everything)
  for bit = 0, price_bits - 1 do
    redis.call('SET', second, row(price_row + bit))
    redis.call('BITOP', math.floor(cents / 2 ^ bit) % 2 == 1 and 'AND' or 'OR', first, first, second)
  end
  return cents < 2 ^ price_bits and redis.call('GET', first) or nothing
end

-- What each facet lets through; nil if nothing is selected in it.
local passing = {}
local function of_values(facet, selected)
  local numbers = {}
  for _, value in ipairs(selected) do
    -- A value that no product has adds nothing.
    numbers[#numbers + 1] = tonumber(redis.call('HGET', rows, facet .. value))
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
    local range = combine('XOR', costing(tonumber(price_ranges[i])), costing(tonumber(price_ranges[i + 1])))
    passing.price = combine('OR', passing.price, range)
  end
end
local function passing_all_but(facet)
  local set = everything
  for other, bitmap in pairs(passing) do
    if other ~= facet then
      set = combine('AND', set, bitmap)
    end
  end
  return set
end

-- Sets what is counted, and counts how much of it is in a bitmap.
local function count_in(set)
  redis.call('SET', first, set)
end
local function count(bitmap)
  redis.call('SET', second, bitmap)
  redis.call('BITOP', 'AND', second, first, second)
  return redis.call('BITCOUNT', second)
end

local function counts_of(facet, values, selected)
  local names, listed = redis.call('ZRANGE', values, 0, max_counted - 1, 'REV'), {}
  for _, name in ipairs(names) do
    listed[name] = true
  end
  for _, name in ipairs(selected or {}) do
    if not listed[name] and redis.call('ZSCORE', values, name) then
      names[#names + 1] = name
    end
  end
  count_in(passing_all_but(facet))
  local counts = {}
  for _, name in ipairs(names) do
    local products_left = count(row(redis.call('HGET', rows, facet .. ':' .. name)))
    if products_left > 0 then
      counts[#counts + 1] = name
      counts[#counts + 1] = products_left
    end
  end
  return counts
end
local brand_counts = counts_of('brand', brands, selected_brands)
local category_counts = counts_of('category', categories, selected_categories)

local at_least = {}
for i, cents in ipairs(bands) do
  at_least[i] = costing(tonumber(cents))
end
local price_counts = {}
count_in(passing_all_but('price'))
price_counts[1] = count(everything)
for i, bitmap in ipairs(at_least) do
  price_counts[i + 1] = count(bitmap)
end
local star_counts = {}
count_in(passing_all_but('stars'))
for stars = 1, 5 do
  star_counts[stars] = count(row(star_row + stars - 1))
end

local left = passing_all_but(nil)
count_in(left)
local left_count = count(everything)

-- The columns of a bitmap's bits, from one position on.
local function columns_of(set, from, how_many)
  redis.call('SET', first, set)
  local byte = 0
  while true do
    local skipped = redis.call('BITCOUNT', first, byte, byte + 63)
    if skipped > from or byte >= width then
      break
    end
    from, byte = from - skipped, byte + 64
  end
  local columns = {}
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
-- next bit splits each of these, and so on. A part before the page is skipped by its count, one that fits on a page is taken
-- whole (the client sorts it), and only the parts at the edges of the page are split. So it takes at most a few steps for each
-- bit, however many products are left and whatever the offset is.
local order = {}
for number in string.gmatch(ARGV[4], '%d+') do
  order[#order + 1] = tonumber(number)
end
local parts = {{set = left, size = left_count, bit = 1}}
local columns, skip, skip_in_reply = {}, offset, 0
while #parts > 0 and #columns < limit + skip_in_reply do
  local part = table.remove(parts)
  local set, size, bit = part.set, part.size, part.bit
  if size <= skip then
    skip = skip - size
  elseif size <= limit then
    for _, column in ipairs(columns_of(set, 0, size)) do
      columns[#columns + 1] = column
    end
    skip, skip_in_reply = 0, skip_in_reply + skip
  elseif not order[bit] then
    -- All of them are equal, so that they are in the order of their columns.
    for _, column in ipairs(columns_of(set, skip, limit + skip_in_reply - #columns)) do
      columns[#columns + 1] = column
    end
    skip = 0
  else
    local from = order[bit] * ROW
    local ones = redis.call('BITCOUNT', bits, from, from + ROW - 1)
    local with, with_count = nothing, 0
    if ones > 0 then
      with = combine('AND', set, row(order[bit]))
      with_count = redis.call('BITCOUNT', second)
    end
    if with_count == 0 or with_count == size then
      parts[#parts + 1] = {set = set, size = size, bit = bit + 1}
    else
      local without = {set = combine('XOR', set, with), size = size - with_count, bit = bit + 1}
      with = {set = with, size = with_count, bit = bit + 1}
      parts[#parts + 1] = descending and without or with
      parts[#parts + 1] = descending and with or without
    end
  end
end
redis.call('DEL', first, second)

local page = {}
if #columns > 0 then
  local page_ids = redis.call('HMGET', ids, unpack(columns))
  local records = redis.call('HMGET', products, unpack(page_ids))
  for i, record in ipairs(records) do
    page[2 * i - 1], page[2 * i] = page_ids[i], record
  end
end
return {'PAGE', left_count, skip_in_reply, page, brand_counts, category_counts, price_counts, star_counts}
