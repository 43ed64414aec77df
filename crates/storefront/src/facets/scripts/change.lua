-- Brings a product into a state, and out of all that belongs to its former one.
--
-- KEYS: products, brands, categories, name, price, rating, popularity, newest, then the Sets of the brand and the category to
--   leave, then those to enter
-- ARGV: SKU, the record that the product has ('' for none); 1 and the brand, category and member of the name to leave, or 0;
--   the same of what to enter; then, if there is something to enter, the record's beginning and end, cents, stars, popularity
local products, by_name, price, rating, popularity, newest = KEYS[1], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local sku = ARGV[1]

local wrong
for i, key in ipairs(KEYS) do
  wrong = wrong or other_type(key, i <= 3 and 'hash' or i <= 8 and 'zset' or 'set')
end
if wrong then
  return wrong
end
local record = redis.call('HGET', products, sku) or ''
if record ~= ARGV[2] then
  return {'DIFFERS', record}
end

local next_key, next_argument = 9, 3
-- Brand, category, name and the two Sets; nil where there is nothing to leave or to enter.
local function described()
  local there = ARGV[next_argument] == '1'
  next_argument = next_argument + 1
  if there then
    local one = {
      brand = ARGV[next_argument], category = ARGV[next_argument + 1], name = ARGV[next_argument + 2],
      of_brand = KEYS[next_key], of_category = KEYS[next_key + 1],
    }
    next_key, next_argument = next_key + 2, next_argument + 3
    return one
  end
end

local function change_total(totals, label, by)
  if redis.call('HINCRBY', totals, label, by) <= 0 then
    redis.call('HDEL', totals, label)
  end
end

local former, new = described(), described()
if former then
  redis.call('SREM', former.of_brand, sku)
  redis.call('SREM', former.of_category, sku)
  redis.call('ZREM', by_name, former.name)
  change_total(KEYS[2], former.brand, -1)
  change_total(KEYS[3], former.category, -1)
end
if not new then
  for _, key in ipairs({price, rating, popularity, newest}) do
    redis.call('ZREM', key, sku)
  end
  redis.call('HDEL', products, sku)
  return {former and 'REMOVED' or 'UNKNOWN'}
end

local added = string.match(record, '^[^|]*|[^|]*|%d+|%d|%d+|(%d+)|')
if not added then
  local time = redis.call('TIME')
  added = time[1] .. string.format('%06d', time[2])
end
local begins, ends = ARGV[next_argument], ARGV[next_argument + 1]
redis.call('SADD', new.of_brand, sku)
redis.call('SADD', new.of_category, sku)
change_total(KEYS[2], new.brand, 1)
change_total(KEYS[3], new.category, 1)
redis.call('ZADD', by_name, 0, new.name)
redis.call('ZADD', price, ARGV[next_argument + 2], sku)
redis.call('ZADD', rating, ARGV[next_argument + 3], sku)
redis.call('ZADD', popularity, ARGV[next_argument + 4], sku)
redis.call('ZADD', newest, added, sku)
redis.call('HSET', products, sku, begins .. added .. ends)
return {former and 'CHANGED' or 'ADDED'}
