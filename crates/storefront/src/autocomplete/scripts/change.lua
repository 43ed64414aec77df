-- Brings a product into a state: name and terms, one on each line, or nothing at all.
--
-- KEYS: terms, popular, products, then the lists of the prefixes that the product had or is to have
-- ARGV: SKU, the state, the score, how many a list keeps, how many it must not fall below, 'this' if the former state must be
--   the one that follows or 'any', that state, then for each list its prefix and whether the product is to be in it
local terms, popular, products = KEYS[1], KEYS[2], KEYS[3]
local sku, state, score, keep, enough = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

local wrong = other_type(terms, 'zset') or other_type(popular, 'zset') or other_type(products, 'hash')
for i = 4, #KEYS do
  wrong = wrong or other_type(KEYS[i], 'zset')
end
if wrong then
  return wrong
end
local former = redis.call('HGET', products, sku) or ''
if ARGV[6] == 'this' and ARGV[7] ~= former then
  return {'DIFFERS', former}
end

-- The name with the SKU, as both kinds of index hold it, and the members among all terms.
local function members_of(lines)
  local name, members = string.match(lines, '^([^\n]*)'), {}
  local product = name .. '\n' .. sku
  for term in string.gmatch(string.sub(lines, #name + 1), '[^\n]+') do
    members[#members + 1] = term .. '\n' .. product
  end
  return product, members
end

local old, old_members = members_of(former)
for _, member in ipairs(old_members) do
  redis.call('ZREM', terms, member)
end
if former ~= '' then
  redis.call('ZREM', popular, old)
end

local new, new_members = members_of(state)
for i = 4, #KEYS do
  local prefix, stays = ARGV[2 * i], ARGV[2 * i + 1] == '1'
  redis.call('ZREM', KEYS[i], old)
  if stays then
    local from, to = range_of(prefix)
    enter(KEYS[i], score, new, redis.call('ZLEXCOUNT', terms, from, to), keep)
  end
end

for _, member in ipairs(new_members) do
  redis.call('ZADD', terms, 0, member)
end
if state ~= '' then
  redis.call('ZADD', popular, score, new)
  redis.call('HSET', products, sku, state)
else
  redis.call('HDEL', products, sku)
end

for i = 4, #KEYS do
  local size = redis.call('ZCARD', KEYS[i])
  if size < enough then
    local from, to = range_of(ARGV[2 * i])
    if size < redis.call('ZLEXCOUNT', terms, from, to) then
      refill(KEYS[i], terms, popular, ARGV[2 * i], keep)
    end
  end
end

if state == '' then
  return {former == '' and 'UNKNOWN' or 'REMOVED'}
end
return {former == '' and 'ADDED' or 'CHANGED'}
