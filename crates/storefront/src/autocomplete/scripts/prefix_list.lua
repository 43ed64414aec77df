-- The list of one prefix: always the best of all that have the prefix, at most `keep` of them, and at least `enough` where
-- there are that many.

-- Both ends of all terms that begin with prefix: no byte of UTF-8 is 255.
local function range_of(prefix)
  return '[' .. prefix, '(' .. prefix .. '\255'
end

-- Reads the best of a prefix anew, from all its terms.
local function refill(list, terms, popular, prefix, keep)
  local from, to = range_of(prefix)
  local hits = redis.call('ZRANGE', terms, from, to, 'BYLEX')
  for first = 1, #hits, 500 do
    local members, pairs = {}, {}
    for i = first, math.min(first + 499, #hits) do
      members[#members + 1] = string.match(hits[i], '^[^\n]*\n(.*)$')
    end
    local scores = redis.call('ZMSCORE', popular, unpack(members))
    for i, member in ipairs(members) do
      pairs[#pairs + 1] = scores[i]
      pairs[#pairs + 1] = member
    end
    redis.call('ZADD', list, unpack(pairs))
    redis.call('ZREMRANGEBYRANK', list, keep, -1)
  end
end

-- Enters a member that is not in the list. others: how many terms of other products have the prefix. If some of those are
-- not in the list, a member behind all that are may be behind them too, and does not enter.
local function enter(list, score, member, others, keep)
  local size = redis.call('ZCARD', list)
  redis.call('ZADD', list, score, member)
  if size < others and redis.call('ZRANK', list, member) == size then
    redis.call('ZREM', list, member)
  elseif size == keep then
    redis.call('ZREMRANGEBYRANK', list, keep, -1)
  end
end
