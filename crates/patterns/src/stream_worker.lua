-- A stream of messages, and one group of workers. Each entry of the stream has the fields id and payload.
--
--   stream    Stream: the messages
--   ids       Sorted Set: the last IDs that were published, scored by their order
--   counts    Hash: dropped; and for each group lost:GROUP, entries that were trimmed before the group acknowledged them
--   done      Sorted Set: IDs that this group has completed, scored by their order
--   failures  Hash: entry -> how often its handler failed
--   dead      Stream: dead letters
--
-- The server's delivery count of a pending entry is one more than the workers that were lost with it: a failure and a planned
-- return set it back. They also hand the entry to the consumer 'returned', who never reads.

---- room
-- Finds how far all groups have acknowledged the stream. A stream without a group waits for one.
local most, removed, dropped = tonumber(ARGV[1]), 0, 0
local length, needed_ms, needed_seq = redis.call('XLEN', KEYS[1]), nil, nil
if length >= most then
  for _, info in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local group = {}
    for i = 1, #info, 2 do
      group[info[i]] = info[i + 1]
    end
    local pending = redis.call('XPENDING', KEYS[1], group.name, '-', '+', 1)[1]
    local ms, seq = string.match(pending and pending[1] or group['last-delivered-id'], '^(%d+)-(%d+)$')
    ms, seq = tonumber(ms), tonumber(seq) + (pending and 0 or 1)
    if not needed_ms or ms < needed_ms or ms == needed_ms and seq < needed_seq then
      needed_ms, needed_seq = ms, seq
    end
  end
end

---- trim
-- Removes what all groups have acknowledged: first one whole node, which is cheap, and if there is none, part of a node.
if length >= most then
  local needed = string.format('%.0f-%.0f', needed_ms or 0, needed_seq or 0)
  removed = redis.call('XTRIM', KEYS[1], 'MINID', '~', needed, 'LIMIT', 100)
  if removed == 0 then
    removed = redis.call('XTRIM', KEYS[1], 'MINID', '=', needed)
  end
  if removed == 0 and ARGV[2] == 'drop' then
    -- A much longer stream, after the limit was lowered, gets shorter call by call.
    if length - most < 1000 then
      dropped = redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', most - 1)
    else
      dropped = redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', most - 1, 'LIMIT', 1000)
    end
    redis.call('HINCRBY', KEYS[3], 'dropped', dropped)
  end
  if removed + dropped == 0 then
    return {'FULL', length}
  end
end

---- publish_read
-- Publishes a message, once per ID.
-- KEYS: stream, ids, counts
-- ARGV: max entries, when full (refuse or drop), ID, payload, max IDs to remember
-- Replies: PUBLISHED, entry, dropped; or AGAIN; or FULL, entries
if redis.call('ZSCORE', KEYS[2], ARGV[3]) then
  return {'AGAIN'}
end
local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2] or 0
redis.call('HLEN', KEYS[3])
require_commands('XTRIM', 'XADD', 'ZADD', 'ZREMRANGEBYRANK', 'HINCRBY')

---- publish
local entry = redis.call('XADD', KEYS[1], '*', 'id', ARGV[3], 'payload', ARGV[4])
redis.call('ZADD', KEYS[2], last + 1, ARGV[3])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - ARGV[5])
return {'PUBLISHED', entry, dropped}

---- requeue_read
-- Publishes a dead letter again. Groups that have completed its ID only acknowledge it.
-- KEYS: stream, dead, counts
-- ARGV: max entries, when full (refuse or drop), dead letter
-- Replies: PUBLISHED, entry, dropped; or UNKNOWN; or FULL, entries
local letter = redis.call('XRANGE', KEYS[2], ARGV[3], ARGV[3])[1]
if not letter then
  return {'UNKNOWN'}
end
redis.call('HLEN', KEYS[3])
local fields = {}
for i = 1, #letter[2], 2 do
  fields[letter[2][i]] = letter[2][i + 1]
end
require_commands('XTRIM', 'XADD', 'XDEL', 'HINCRBY')

---- requeue
local entry = redis.call('XADD', KEYS[1], '*', 'id', fields.id or fields.entry, 'payload', fields.payload or '')
redis.call('XDEL', KEYS[2], ARGV[3])
return {'PUBLISHED', entry, dropped}

---- bury
-- Moves an entry from the group to the dead letters.
local function bury(group, entry, dead, most, failures_key, reason, failures, lost)
  redis.call('XADD', dead, 'MAXLEN', '~', most, '*', 'entry', entry[1], 'reason', reason, 'failures', failures, 'lost', lost,
    unpack(entry[2]))
  redis.call('XACK', KEYS[1], group, entry[1])
  redis.call('HDEL', failures_key, entry[1])
end

---- complete
-- Runs the effect of a message, acknowledges it, and remembers its ID.
-- KEYS: stream, failures, dead, done, then for each effect: key
-- ARGV: group, entry, ID, max IDs to remember, max dead letters, then for each effect: number of arguments, command, arguments
-- Replies: DONE; or AGAIN; or NOT_PENDING; or REFUSED, error; or HALF, error
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1)[1]
local failures = redis.call('HGET', KEYS[2], ARGV[2]) or 0
redis.call('XLEN', KEYS[3])
local done = redis.call('ZSCORE', KEYS[4], ARGV[3])
if not pending then
  return {done and 'AGAIN' or 'NOT_PENDING'}
end
local last = redis.call('ZRANGE', KEYS[4], -1, -1, 'WITHSCORES')[2] or 0
local entry = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])[1] or {ARGV[2], {'id', ARGV[3]}}
local effects, at = {}, 6
for i = 5, #KEYS do
  local arguments = tonumber(ARGV[at])
  local effect = {ARGV[at + 1], KEYS[i]}
  for j = at + 2, at + 1 + arguments do
    effect[#effect + 1] = ARGV[j]
  end
  -- A command that does not exist ends the script here.
  if not redis.acl_check_cmd(unpack(effect)) then
    error({err = 'NOPERM this effect needs a user who may run ' .. effect[1] .. '; nothing was changed'})
  end
  effects[#effects + 1], at = effect, at + 2 + arguments
end
require_commands('XACK', 'ZADD', 'ZREMRANGEBYRANK', 'HDEL', 'XADD')
local half
if not done then
  for i, effect in ipairs(effects) do
    local result = redis.pcall(unpack(effect))
    if type(result) == 'table' and result.err then
      if i == 1 then
        return {'REFUSED', result.err}
      end
      -- What has run cannot be undone, and must not run again.
      half = result.err
      break
    end
  end
end
if half then
  bury(ARGV[1], entry, KEYS[3], ARGV[5], KEYS[2], 'half of its effect: ' .. half, failures, pending[4] - 1)
else
  redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
end
redis.call('ZADD', KEYS[4], last + 1, ARGV[3])
redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -1 - ARGV[4])
redis.call('HDEL', KEYS[2], ARGV[2])
if half then
  return {'HALF', half}
end
return {done and 'AGAIN' or 'DONE'}

---- fail
-- Counts a failure of the handler. The message comes again later, or is dead.
-- KEYS: stream, failures, dead
-- ARGV: group, consumer, entry, max failures, reason, idle time from now on (ms), max dead letters
-- Replies: RETRY, failures; or DEAD, failures; or NOT_PENDING
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2])[1]
local failures = (redis.call('HGET', KEYS[2], ARGV[3]) or 0) + 1
redis.call('XLEN', KEYS[3])
if not pending then
  return {'NOT_PENDING'}
end
local lost = pending[4] - 1
local entry = redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])[1]
require_commands('XADD', 'XACK', 'HDEL', 'HSET', 'XCLAIM')
-- A message that was trimmed cannot come again.
if failures >= tonumber(ARGV[4]) or not entry then
  bury(ARGV[1], entry or {ARGV[3], {'payload', ''}}, KEYS[3], ARGV[7], KEYS[2], ARGV[5], failures, lost)
  return {'DEAD', failures}
end
redis.call('HSET', KEYS[2], ARGV[3], failures)
redis.call('XCLAIM', KEYS[1], ARGV[1], 'returned', 0, ARGV[3], 'IDLE', ARGV[6], 'RETRYCOUNT', lost, 'JUSTID')
return {'RETRY', failures}

---- claim
-- Takes over messages that nobody has touched for a while.
-- KEYS: stream, failures, dead, counts
-- ARGV: group, consumer, idle time (ms), cursor, max messages, max workers lost, max dead letters
-- Replies: CLAIMED, cursor, pending (0 or 1), trimmed, quarantined, then for each message: entry, fields, failures, workers lost
local pending = #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1)
redis.call('HLEN', KEYS[2])
redis.call('XLEN', KEYS[3])
redis.call('HLEN', KEYS[4])
if pending == 0 then
  return {'CLAIMED', '0-0', 0, 0, 0}
end
-- Reads, too, because a claim counts as a delivery.
require_commands('XAUTOCLAIM', 'XADD', 'XACK', 'HDEL', 'HINCRBY', 'HGET')
local claimed = redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], 'COUNT', ARGV[5])
local trimmed, quarantined, messages = claimed[3] or {}, 0, {}
for _, entry in ipairs(claimed[2]) do
  local lost = redis.call('XPENDING', KEYS[1], ARGV[1], entry[1], entry[1], 1)[1][4] - 1
  local failures = redis.call('HGET', KEYS[2], entry[1]) or 0
  if lost >= tonumber(ARGV[6]) then
    bury(ARGV[1], entry, KEYS[3], ARGV[7], KEYS[2], 'worker lost', failures, lost)
    quarantined = quarantined + 1
  else
    messages[#messages + 1] = {entry[1], entry[2], failures, lost}
  end
end
if #trimmed > 0 then
  redis.call('HINCRBY', KEYS[4], 'lost:' .. ARGV[1], #trimmed)
  redis.call('HDEL', KEYS[2], unpack(trimmed))
end
return {'CLAIMED', claimed[1], 1, #trimmed, quarantined, messages}

---- own
-- What a consumer holds: after a read whose reply was lost. It does not count as a delivery.
-- KEYS: stream, failures, dead, counts
-- ARGV: group, consumer, after this entry, max messages
-- Replies: OWN, last entry, trimmed, then for each message: entry, fields, failures, workers lost
local held = redis.call('XPENDING', KEYS[1], ARGV[1], '(' .. ARGV[3], '+', ARGV[4], ARGV[2])
redis.call('HLEN', KEYS[4])
local last, trimmed, messages = ARGV[3], {}, {}
for _, pending in ipairs(held) do
  local failures = redis.call('HGET', KEYS[2], pending[1]) or 0
  local entry = redis.call('XRANGE', KEYS[1], pending[1], pending[1])[1]
  if entry then
    messages[#messages + 1] = {entry[1], entry[2], failures, pending[4] - 1}
  else
    trimmed[#trimmed + 1] = pending[1]
  end
  last = pending[1]
end
if #trimmed > 0 then
  require_commands('XACK', 'HDEL', 'HINCRBY')
  redis.call('HINCRBY', KEYS[4], 'lost:' .. ARGV[1], #trimmed)
  redis.call('XACK', KEYS[1], ARGV[1], unpack(trimmed))
  redis.call('HDEL', KEYS[2], unpack(trimmed))
end
return {'OWN', #held > 0 and last or '', #trimmed, messages}

---- extend
-- Says that the handlers of these messages still run.
-- KEYS: stream
-- ARGV: group, consumer, then for each message: entry
-- Replies: EXTENDED, messages that the consumer still holds
local held = {}
for i = 3, #ARGV do
  if redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2])[1] then
    held[#held + 1] = ARGV[i]
  end
end
if #held > 0 then
  require_commands('XCLAIM')
  held[#held + 1] = 'JUSTID'
  redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, unpack(held))
end
return {'EXTENDED', math.max(0, #held - 1)}

---- give_back
-- Returns messages that the consumer has not finished. Others may claim them at once.
-- KEYS: stream
-- ARGV: group, consumer, idle time from now on (ms), then for each message: entry
-- Replies: RETURNED, messages
local returned = 0
require_commands('XCLAIM')
for i = 4, #ARGV do
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2])[1]
  if pending then
    redis.call('XCLAIM', KEYS[1], ARGV[1], 'returned', 0, ARGV[i], 'IDLE', ARGV[3], 'RETRYCOUNT', pending[4] - 1, 'JUSTID')
    returned = returned + 1
  end
end
return {'RETURNED', returned}

---- retire
-- Removes consumers that have asked for nothing for a while and owe nothing.
-- KEYS: stream
-- ARGV: group, idle time (ms), max consumers, only this consumer or ''
-- Replies: RETIRED, consumers
local gone = {}
for _, info in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for i = 1, #info, 2 do
    consumer[info[i]] = info[i + 1]
  end
  local chosen = ARGV[4] == '' and consumer.name ~= 'returned' or consumer.name == ARGV[4]
  if chosen and consumer.pending == 0 and consumer.idle >= tonumber(ARGV[2]) and #gone < tonumber(ARGV[3]) then
    gone[#gone + 1] = consumer.name
  end
end
for _, name in ipairs(gone) do
  redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], name)
end
return {'RETIRED', #gone}

---- status
-- Counts what waits, what is with workers, and what was lost.
-- KEYS: stream, dead, counts
-- ARGV: group
-- Replies: STATUS, entries, pending, consumers, dead letters, dropped, trimmed
local status = {pending = 0, consumers = 0}
local length = redis.call('XLEN', KEYS[1])
if redis.call('EXISTS', KEYS[1]) == 1 then
  for _, info in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local group = {}
    for i = 1, #info, 2 do
      group[info[i]] = info[i + 1]
    end
    if group.name == ARGV[1] then
      status = group
    end
  end
end
local counts = redis.call('HMGET', KEYS[3], 'dropped', 'lost:' .. ARGV[1])
return {'STATUS', length, status.pending, status.consumers, redis.call('XLEN', KEYS[2]), counts[1] or 0, counts[2] or 0}
