-- The list of one prefix: always the best of all that have the prefix, at most `keep` of them, and at least `enough` where
-- there are that many.

-- Both ends of all terms that begin with prefix: no byte of UTF-8 is 255.
local function range_of(prefix)
  return '[' .. prefix, '(' .. prefix .. '\255'
end

-- Reads the best of a prefix anew, from all its terms; without the member that is about to leave.
local function refill(list, terms, popular, prefix, keep, leaving)
  local from, to = range_of(prefix)
  local hits = redis.call('ZRANGE', terms, from, to, 'BYLEX')
  for first = 1, #hits, 500 do
    local members, pairs = {}, {}
    for i = first, math.min(first + 499, #hits) do
      local member = string.match(hits[i], '^[^\n]*\n(.*)$')
      if member ~= leaving then
        members[#members + 1] = member
      end
    end
    local scores = #members > 0 and redis.call('ZMSCORE', popular, unpack(members)) or {}
    for i, score in ipairs(scores) do
      if score then
        pairs[#pairs + 1] = score
        pairs[#pairs + 1] = members[i]
      end
    end
    if #pairs > 0 then
      redis.call('ZADD', list, unpack(pairs))
      redis.call('ZREMRANGEBYRANK', list, keep, -1)
    end
  end
end

-- Enters a member. size: how many others are in the list; others: how many terms of other products have the prefix. If
-- some of those are not in the list, a member behind all that are may be behind them too, and does not enter.
local function enter(list, score, member, size, others, keep)
  redis.call('ZADD', list, score, member)
  if size > 0 and size < others and redis.call('ZRANK', list, member) == size then
    redis.call('ZREM', list, member)
    return size
  end
  redis.call('ZREMRANGEBYRANK', list, keep, -1)
  return math.min(size + 1, keep)
end
