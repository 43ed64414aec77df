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

local former, new = described(), described()
if not former and not new then
  return {'UNKNOWN'}
end

-- First what enters, then what leaves, and what has been left is not touched again: a key without members is gone, and
-- while its slot moves a script that asks for a key which is gone fails in its middle.
if new then
  local added = string.match(record, '^[^|]*|[^|]*|%d+|%d|%d+|(%d+)|')
  if not added then
    local time = redis.call('TIME')
    added = time[1] .. string.format('%06d', time[2])
  end
  local begins, ends = ARGV[next_argument], ARGV[next_argument + 1]
  if redis.call('SADD', new.of_brand, sku) == 1 then
    redis.call('HINCRBY', KEYS[2], new.brand, 1)
  end
  if redis.call('SADD', new.of_category, sku) == 1 then
    redis.call('HINCRBY', KEYS[3], new.category, 1)
  end
  redis.call('ZADD', by_name, 0, new.name)
  redis.call('ZADD', price, ARGV[next_argument + 2], sku)
  redis.call('ZADD', rating, ARGV[next_argument + 3], sku)
  redis.call('ZADD', popularity, ARGV[next_argument + 4], sku)
  redis.call('ZADD', newest, added, sku)
  redis.call('HSET', products, sku, begins .. added .. ends)
end

local function leave(set, totals, label)
  if redis.call('SREM', set, sku) == 1 and redis.call('HINCRBY', totals, label, -1) <= 0 then
    redis.call('HDEL', totals, label)
  end
end
if former then
  if not new or new.brand ~= former.brand then
    leave(former.of_brand, KEYS[2], former.brand)
  end
  if not new or new.category ~= former.category then
    leave(former.of_category, KEYS[3], former.category)
  end
  if not new or new.name ~= former.name then
    redis.call('ZREM', by_name, former.name)
  end
end
if not new then
  for _, key in ipairs({price, rating, popularity, newest}) do
    redis.call('ZREM', key, sku)
  end
  redis.call('HDEL', products, sku)
  return {'REMOVED'}
end
return {former and 'CHANGED' or 'ADDED'}
