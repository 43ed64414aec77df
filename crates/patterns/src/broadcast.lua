-- A broadcast:
--
--   log   Stream: the last messages. Each entry names the one before it, even if that is trimmed.
--   last  String: the ID of the last entry

---- publish
-- Adds a message.
-- KEYS: log, last
-- ARGV: payload, max entries
-- Replies: PUBLISHED, entry
local previous = redis.call('GET', KEYS[2])
if not previous then
  local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
  previous = newest and newest[1] or '0-0'
end
redis.call('XLEN', KEYS[1])
local id, ms, seq = '*', string.match(previous, '^(%d+)-(%d+)$')
if ms and redis.call('EXISTS', KEYS[1]) == 0 then
  -- The log is new. In the millisecond in which another one was lost, the server could choose an ID that followers have seen.
  -- So the microseconds follow: a millisecond never has as many messages.
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  id = now > tonumber(ms) and string.format('%.0f-%.0f', now, time[2] % 1000) or string.format('%s-%.0f', ms, tonumber(seq) + 1)
end
require_commands('XADD', 'SET')
local entry = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], id, 'previous', previous, 'payload', ARGV[1])
redis.call('SET', KEYS[2], entry)
return {'PUBLISHED', entry}

---- read
-- Reads what follows an entry. A gap means that something that followed it is no longer there.
-- KEYS: log, last
-- ARGV: entry or 'now', max entries
-- Replies: READ, last entry, then for each message: entry, fields; or GAP, last entry, then for each message: entry, fields
local last = redis.call('GET', KEYS[2])
if not last then
  local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
  last = newest and newest[1] or '0-0'
end
if ARGV[1] == 'now' then
  redis.call('XLEN', KEYS[1])
  return {'READ', last, {}}
end
local known = string.find(ARGV[1], '^%d+%-%d+$')
local entries = known and redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[2]) or {}
if #entries == 0 and ARGV[1] == last then
  return {'READ', last, entries}
end
if #entries == 0 then
  -- The IDs have started again, or the log was lost.
  entries = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[2])
  return {'GAP', #entries > 0 and entries[#entries][1] or last, entries}
end
local fields = {}
for i = 1, #entries[1][2], 2 do
  fields[entries[1][2][i]] = entries[1][2][i + 1]
end
return {fields.previous == ARGV[1] and 'READ' or 'GAP', entries[#entries][1], entries}
