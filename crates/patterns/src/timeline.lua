-- Timelines: the posts of those whom a user follows, the newest first.
--
-- posts:bob is the truth: the entries of one author, scored by their time in milliseconds. timeline:ann is a copy of the newest
-- entries of those whom Ann follows. Its member ':complete' is scored by the time down to which nothing is missing. Older entries
-- are read from the authors. If timeline:ann is lost, its mark is lost with it, so a copy with holes never passes for the whole.

---- post
-- Adds an entry to its author's list, and notes that it is to be pushed.
-- KEYS: posts, unpushed
-- ARGV: entry, time (ms) or '' for now, 1 to push, max posts
-- Replies: POSTED, time; or KNOWN, time
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
local count = redis.call('ZCARD', KEYS[1])
redis.call('ZCARD', KEYS[2])
if known then
  return {'KNOWN', known}
end
local at = ARGV[2] == '' and string.format('%.0f', now_ms()) or ARGV[2]
require_commands('ZADD', 'ZREMRANGEBYRANK')
-- What is to be pushed comes first: if it is pushed in vain, no harm is done.
if ARGV[3] == '1' then
  redis.call('ZADD', KEYS[2], 0, ARGV[1])
end
redis.call('ZADD', KEYS[1], at, ARGV[1])
if count >= tonumber(ARGV[4]) then
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, count - ARGV[4])
end
return {'POSTED', at}

---- delete
-- Removes an entry from its author's list. Readers skip the copies in timelines from now on.
-- KEYS: posts, unpushed
-- ARGV: entry
-- Replies: DELETED, 1 if it was there
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZCARD', KEYS[2])
require_commands('ZREM')
redis.call('ZREM', KEYS[2], ARGV[1])
if known then
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return {'DELETED', known and 1 or 0}

---- next
-- Finds the entry whose push has come furthest.
-- KEYS: posts, unpushed
-- Replies: NEXT, entry, number of the last follower who has it, time (ms) or '' if the entry is gone; or NONE
local furthest = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if not furthest[1] then
  return {'NONE'}
end
return {'NEXT', furthest[1], furthest[2], redis.call('ZSCORE', KEYS[1], furthest[1]) or ''}

---- trim
-- Removes the oldest entries above the limit. The mark moves up to what is left. Entries of the same time go together.
local function trim(most)
  local excess = redis.call('ZCARD', KEYS[1]) - 1 - most
  if excess > 0 then
    local removed = redis.call('ZRANGE', KEYS[1], excess, excess, 'WITHSCORES')
    local mark = string.format('%.0f', removed[2] + 1)
    redis.call('ZADD', KEYS[1], mark, ':complete')
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. mark)
  end
end

---- push
-- Adds entries to a timeline that is in use. Those older than its mark are read from their authors.
-- KEYS: timeline
-- ARGV: max entries, then for each entry: time (ms), entry
-- Replies: PUSHED, entries that were added; or UNUSED
local mark = redis.call('ZSCORE', KEYS[1], ':complete')
if not mark and not redis.call('ZSCORE', KEYS[1], ':building') then
  return {'UNUSED'}
end
require_commands('ZADD', 'ZREMRANGEBYSCORE')
local added = 0
for i = 2, #ARGV, 2 do
  if not mark or tonumber(ARGV[i]) >= tonumber(mark) then
    redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1])
    added = added + 1
  end
end
if mark then
  trim(tonumber(ARGV[1]))
end
return {'PUSHED', added}

---- begin
-- Begins to build a timeline. From now on it takes what is pushed. If the builder dies, the key expires.
-- KEYS: timeline
-- ARGV: time to build it (ms)
-- Replies: BEGUN, token; or IN_USE; or BUILDING
if redis.call('ZSCORE', KEYS[1], ':complete') then
  return {'IN_USE'}
elseif redis.call('ZSCORE', KEYS[1], ':building') then
  return {'BUILDING'}
end
local time = redis.call('TIME')
local token = string.format('%.0f', time[1] * 1000000 + time[2])
require_commands('ZADD', 'PEXPIRE')
redis.call('ZADD', KEYS[1], token, ':building')
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {'BEGUN', token}

---- install
-- Ends the building of a timeline.
-- KEYS: timeline
-- ARGV: token, mark (ms), TTL (ms), max entries, then for each entry: time (ms), entry
-- Replies: INSTALLED; or STALE
if redis.call('ZSCORE', KEYS[1], ':building') ~= ARGV[1] then
  return {'STALE'}
end
require_commands('ZADD', 'ZREM', 'ZREMRANGEBYSCORE', 'PEXPIRE')
redis.call('ZADD', KEYS[1], ARGV[2], ':complete')
for i = 5, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('ZREM', KEYS[1], ':building')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[2])
trim(tonumber(ARGV[4]))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'INSTALLED'}

---- page
-- Reads entries of a timeline that are not older than its mark, and keeps it in use.
-- KEYS: timeline
-- ARGV: TTL (ms), 1 for the newest first, time (ms) to begin with, max entries
-- Replies: PAGE, mark (ms), entries with their times; or UNUSED
local mark = redis.call('ZSCORE', KEYS[1], ':complete')
if not mark then
  return {'UNUSED'}
end
local found
if ARGV[2] == '1' then
  found = redis.call('ZREVRANGEBYSCORE', KEYS[1], ARGV[3], mark, 'WITHSCORES', 'LIMIT', 0, ARGV[4])
else
  found = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[3], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[4])
end
require_commands('PEXPIRE')
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {'PAGE', mark, found}
