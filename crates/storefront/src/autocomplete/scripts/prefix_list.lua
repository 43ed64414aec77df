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
