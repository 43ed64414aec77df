-- Brings a product into a state: name and terms, one on each line, or nothing at all.
--
-- KEYS: terms, popular, products, then the lists of the prefixes that the product had or is to have
-- ARGV: SKU, the state, the score, how many a list keeps, how many it must not fall below, 'this' if the former state must be
--   the one that follows or 'any', that state, then for each list its prefix and whether the product is to be in it
local terms, popular, products = KEYS[1], KEYS[2], KEYS[3]
local sku, state, score, keep, enough = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

local wrong = other_type(terms, 'zset') or other_type(popular, 'zset') or other_type(products, 'hash')
if wrong then
  return wrong
end
local sizes = {}
for i = 4, #KEYS do
  sizes[i] = redis.pcall('ZCARD', KEYS[i])
  if type(sizes[i]) == 'table' then
    return string.sub(sizes[i].err, 1, 9) == 'WRONGTYPE' and {'WRONG_TYPE', KEYS[i]} or sizes[i]
  end
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
local new, new_members = members_of(state)
local kept, own = {}, {}
for _, member in ipairs(new_members) do
  kept[member] = true
  own[#own + 1] = member
end
local leaving = {}
for _, member in ipairs(old_members) do
  if not kept[member] then
    leaving[#leaving + 1] = member
    own[#own + 1] = member
  end
end

-- First what enters, then what leaves, and what has been left is not touched again: a key without members is gone, and
-- while its slot moves a script that asks for a key which is gone fails in its middle.
for _, member in ipairs(new_members) do
  redis.call('ZADD', terms, 0, member)
end
if state ~= '' then
  redis.call('ZADD', popular, score, new)
  redis.call('HSET', products, sku, state)
end

-- How many terms of other products have the prefix: at least as many as there are such products.
local function of_others(prefix)
  local from, to = range_of(prefix)
  local count = redis.call('ZLEXCOUNT', terms, from, to)
  for _, member in ipairs(own) do
    if string.sub(member, 1, #prefix) == prefix then
      count = count - 1
    end
  end
  return count
end

for i = 4, #KEYS do
  local list, prefix, stays = KEYS[i], ARGV[2 * i], ARGV[2 * i + 1] == '1'
  -- A list that is this short is whole: nobody was ever cut off, or those who were are back.
  local whole, others = sizes[i] < enough, sizes[i]
  if former ~= '' and redis.call('ZSCORE', list, old) then
    others = others - 1
  end
  -- Who stays under the same name is not to leave.
  local leaves = former ~= '' and not (stays and new == old) and old or nil
  local size = others
  if stays then
    -- The former name must not count among those in front.
    if leaves then
      redis.call('ZADD', list, 'XX', 'inf', leaves)
    end
    redis.call('ZADD', list, score, new)
    size = others + 1
    -- Behind all that are in the list there may be better ones, which were cut off.
    if not whole and redis.call('ZRANK', list, new) == others and others < of_others(prefix) then
      redis.call('ZREM', list, new)
      size = others
    elseif size > keep then
      redis.call('ZREMRANGEBYRANK', list, keep, -1)
    end
  end
  if not whole and size < enough and size < of_others(prefix) + (stays and 1 or 0) then
    refill(list, terms, popular, prefix, keep, leaves)
  end
  if leaves then
    redis.call('ZREM', list, leaves)
  end
end

if #leaving > 0 then
  redis.call('ZREM', terms, unpack(leaving))
end
if former ~= '' and (new ~= old or state == '') then
  redis.call('ZREM', popular, old)
end
if state == '' then
  redis.call('HDEL', products, sku)
  return {former == '' and 'UNKNOWN' or 'REMOVED'}
end
return {former == '' and 'ADDED' or 'CHANGED'}
