-- An index of products by what people type: one Sorted Set. All scores are 0, so the members are in the order of their bytes,
-- and those that begin alike are side by side. It has three kinds of members, here for the product mug1, "Café mug", with a
-- popularity of 40 (a line break is shown as /):
--
--   ID:mug1/8/ffffffffffffffd7 Café mug/cafe mug/mug  the product's record: the length of the longest listed prefix, rank and
--                                                     name, and the terms it is found by
--   caf/ffffffffffffffd7 Café mug/mug1                for each prefix of a term up to that length, also for the empty one
--   T:cafe mug/ffffffffffffffd7 Café mug/mug1         for each term
--
-- The rank is 2^64 - 1 - popularity in hexadecimal digits, so the most popular product comes first. Prefixes and terms have no
-- line breaks and no capital letters. In names and IDs, a line break is \n, and a backslash is \\.

---- members
-- Makes all members of a product from its record.
local function members_of(record)
  local id, listed, product, terms = string.match(record, '^ID:([^\n]+)\n(%d+)\n(%x+ [^\n]+)(.*)$')
  if not id then
    error({err = 'MALFORMED ' .. KEYS[1] .. ' ' .. record})
  end
  product = '\n' .. product .. '\n' .. id
  local members = {record, product}
  for term in string.gmatch(terms, '[^\n]+') do
    members[#members + 1] = 'T:' .. term .. product
    local prefix, left = '', tonumber(listed)
    for character in string.gmatch(term, '[%z\1-\127\192-\255][\128-\191]*') do
      if left == 0 then
        break
      end
      prefix, left = prefix .. character, left - 1
      -- No query ends with a space.
      if character ~= ' ' then
        members[#members + 1] = prefix .. product
      end
    end
  end
  return members
end

---- put
-- Replaces all members of a product with those of a new record.
-- KEYS: index
-- ARGV: start of the record (`ID:mug1/`), record
-- Replies: ADDED; or CHANGED
local begins = '[' .. ARGV[1]
local ends = '(' .. ARGV[1] .. '\255'
local former = redis.call('ZRANGE', KEYS[1], begins, ends, 'BYLEX', 'LIMIT', 0, 1)[1]
if former == ARGV[2] then
  return {'CHANGED'}
end
local stays, enters = {}, {}
for _, member in ipairs(members_of(ARGV[2])) do
  stays[member] = true
  enters[#enters + 1] = 0
  enters[#enters + 1] = member
end
local leaves = {}
for _, member in ipairs(former and members_of(former) or {}) do
  if not stays[member] then
    leaves[#leaves + 1] = member
  end
end
require_commands('ZADD', 'ZREM')
redis.call('ZADD', KEYS[1], unpack(enters))
if not former then
  return {'ADDED'}
end
redis.call('ZREM', KEYS[1], unpack(leaves))
return {'CHANGED'}

---- remove
-- Removes all members of a product.
-- KEYS: index
-- ARGV: start of the record (`ID:mug1/`)
-- Replies: REMOVED; or UNKNOWN
local begins = '[' .. ARGV[1]
local ends = '(' .. ARGV[1] .. '\255'
local former = redis.call('ZRANGE', KEYS[1], begins, ends, 'BYLEX', 'LIMIT', 0, 1)[1]
if not former then
  return {'UNKNOWN'}
end
local members = members_of(former)
require_commands('ZREM')
redis.call('ZREM', KEYS[1], unpack(members))
return {'REMOVED'}

---- suggest
-- Finds the most popular products with a term that begins with a prefix. Writes nothing.
-- KEYS: index
-- ARGV: prefix, max products in the reply, max terms to read
-- Replies: products (list)

-- Compares ranks, then bytes. (Lua's own < follows the locale of the server.)
local function comes_before(a, b)
  for first = 1, 9, 8 do
    local x, y = tonumber(string.sub(a, first, first + 7), 16), tonumber(string.sub(b, first, first + 7), 16)
    if x ~= y then
      return (x or 0) < (y or 0)
    end
  end
  for i = 17, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then
      return x < y
    end
  end
  return #a < #b
end

local begins = '[T:' .. ARGV[1]
local ends = '(T:' .. ARGV[1] .. '\255'
local count = tonumber(ARGV[2])
local best, seen = {}, {}
for _, hit in ipairs(redis.call('ZRANGE', KEYS[1], begins, ends, 'BYLEX', 'LIMIT', 0, ARGV[3])) do
  local product = string.match(hit, '\n(.*)$') or hit
  if not seen[product] then
    seen[product] = true
    if #best < count or comes_before(product, best[count]) then
      local place = math.min(#best + 1, count)
      while place > 1 and comes_before(product, best[place - 1]) do
        best[place] = best[place - 1]
        place = place - 1
      end
      best[place] = product
    end
  end
end
return best
