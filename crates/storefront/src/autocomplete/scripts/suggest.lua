-- The most popular products with a term that begins with a prefix. Changes nothing.
--
-- KEYS: terms, popular
-- ARGV: the prefix, how many products to answer with, how many terms to look at
local terms, popular = KEYS[1], KEYS[2]
local prefix, count, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

-- By bytes, as a Sorted Set orders its members. Lua's own < follows the language of the server's environment.
local function comes_before(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then
      return x < y
    end
  end
  return #a < #b
end

-- No byte of UTF-8 is 255, so every term that begins with the prefix lies below.
local hits = redis.call('ZRANGE', terms, '[' .. prefix, '(' .. prefix .. '\255', 'BYLEX', 'LIMIT', 0, most)
local products, seen = {}, {}
for _, hit in ipairs(hits) do
  local product = string.match(hit, '^[^\n]*\n(.*)$')
  if product and not seen[product] then
    seen[product] = true
    products[#products + 1] = product
  end
end

-- The best so far, the best first.
local best = {}
local function better(a, b)
  return a.score < b.score or a.score == b.score and comes_before(a.product, b.product)
end
for first = 1, #products, 500 do
  local last = math.min(first + 499, #products)
  local scores = redis.call('ZMSCORE', popular, unpack(products, first, last))
  for i = first, last do
    local this = {product = products[i], score = tonumber(scores[i - first + 1] or 0)}
    if #best < count or better(this, best[#best]) then
      local place = #best < count and #best + 1 or count
      while place > 1 and better(this, best[place - 1]) do
        best[place] = best[place - 1]
        place = place - 1
      end
      best[place] = this
    end
  end
end

local reply = {}
for _, one in ipairs(best) do
  reply[#reply + 1] = one.product
  reply[#reply + 1] = string.format('%.0f', one.score)
end
return reply
