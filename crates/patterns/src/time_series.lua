-- A time series in packed records, so that a sample takes 12 bytes. Numbers are big-endian.
--
--   days     Hash: number of the day -> its roll-up; :settings -> decimals:minutes of a chunk
--   raw      Hash, one for each day: first minute of the chunk -> its samples
--   minutes  Hash, one for each day: hour -> roll-ups of its minutes
--   hours    Hash, one for each day: all -> roll-ups of its hours
--   :n       in the last three: settings:samples of the day. If they disagree with the day, a key was lost.
--
-- A sample is an ID (4 bytes: ms since the chunk began * 1024 + number) and a value (8 bytes, in units). A roll-up is an ID
-- (4 bytes: minute of the hour, hour of the day, or the day), a count (4), a sum, a minimum, and a maximum (8 each).
--
-- A script changes one chunk. All sums are whole numbers, so they are exact in whatever order the samples come.

---- records
local SAMPLE, ROLL_UP = '>I4i8', '>I4I4i8i8i8'
local overflow = false

-- Where the record with this ID is or belongs: the bytes before it, and whether it is there. Most samples come last.
local function find(blob, size, id)
  local low, high = 0, #blob / size
  if high == 0 or struct.unpack('>I4', blob, #blob - size + 1) < id then
    return #blob, false
  end
  while low < high do
    local middle = math.floor((low + high) / 2)
    if struct.unpack('>I4', blob, middle * size + 1) < id then
      low = middle + 1
    else
      high = middle
    end
  end
  return low * size, struct.unpack('>I4', blob, low * size + 1) == id
end

-- The sum of two roll-ups, as tables of count, sum, minimum, maximum. From 2^53 on, numbers are not exact.
local function merge(a, b)
  if not a or not b then
    return a or b
  end
  local sum = a[2] + b[2]
  overflow = overflow or math.abs(sum) >= 9007199254740992
  return {a[1] + b[1], sum, math.min(a[3], b[3]), math.max(a[4], b[4])}
end

local function roll_up_at(blob, at)
  local _, count, sum, least, greatest = struct.unpack(ROLL_UP, blob, at + 1)
  return {count, sum, least, greatest}
end

-- All roll-ups of a blob as one, or nil.
local function fold(blob)
  local all = nil
  for at = 0, #blob - 32, 32 do
    all = merge(all, roll_up_at(blob, at))
  end
  return all
end

-- The blob with this roll-up in its place, or without it.
local function put(blob, id, roll_up)
  local at, there = find(blob, 32, id)
  local record = roll_up and struct.pack(ROLL_UP, id, unpack(roll_up)) or ''
  return string.sub(blob, 1, at) .. record .. string.sub(blob, at + (there and 32 or 0) + 1)
end

-- The roll-up of the samples from one ID to before another, computed anew; or nil.
local function scan(blob, first, after)
  local count, sum, least, greatest = 0, 0, math.huge, -math.huge
  for at = find(blob, 12, first) + 1, find(blob, 12, after), 12 do
    local _, value = struct.unpack(SAMPLE, blob, at)
    count, sum, least, greatest = count + 1, sum + value, math.min(least, value), math.max(greatest, value)
    overflow = overflow or math.abs(sum) >= 9007199254740992
  end
  return count > 0 and {count, sum, least, greatest} or nil
end

---- read
-- Reads what the samples of one chunk are part of.
local now = now_ms()
local day, hour, settings, raw_until, chunk = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), ARGV[7]
local stored_raw = redis.call('HMGET', KEYS[2], ':n', chunk)
local stored_minutes = redis.call('HMGET', KEYS[3], ':n', hour)
local stored_hours = redis.call('HMGET', KEYS[4], ':n', 'all')
local stored_days = redis.call('HMGET', KEYS[1], ':settings', day)
local raw, minutes, hours = stored_raw[2] or '', stored_minutes[2] or '', stored_hours[2] or ''
local day_roll_up = stored_days[2] or ''
if #raw % 12 ~= 0 then
  error({err = 'MALFORMED ' .. KEYS[2] .. ' ' .. chunk})
elseif #minutes % 32 ~= 0 or #minutes > 1920 then
  error({err = 'MALFORMED ' .. KEYS[3] .. ' ' .. hour})
elseif #hours % 32 ~= 0 or #hours > 768 then
  error({err = 'MALFORMED ' .. KEYS[4] .. ' all'})
elseif #day_roll_up ~= 32 and #day_roll_up ~= 0 then
  error({err = 'MALFORMED ' .. KEYS[1] .. ' ' .. day})
end
if stored_days[1] and stored_days[1] ~= settings then
  return {'OTHER_SETTINGS', stored_days[1]}
elseif raw_until and now >= raw_until then
  return {'TOO_OLD'}
end
-- What changes: minute of the hour -> what is added, and the minutes that are computed anew.
local added, anew = {}, {}
local first_minute = chunk - hour * 60
local total, rebuilding = fold(day_roll_up), false

---- agree
-- Stops if the keys disagree, because one was lost.
local n = total and settings .. ':' .. total[1] or false
if stored_raw[1] ~= n or stored_minutes[1] ~= n or stored_hours[1] ~= n then
  return {'DAMAGED'}
end

---- append
-- Adds samples of one chunk.
-- KEYS: days, raw, minutes, hours
-- ARGV: day, hour, settings, raw kept until (ms or ''), minutes kept until, hours kept until, first minute of the chunk,
--   samples in order, last sample (ms), limit into the future (ms), 1 to keep the first of duplicates
-- Replies: APPENDED, samples that are new, replaced, unchanged; or TOO_OLD; or TOO_NEW, time ahead (ms); or FULL; or OVERFLOW;
--   or OTHER_SETTINGS, those stored; or DAMAGED
if ARGV[9] - now > tonumber(ARGV[10]) then
  return {'TOO_NEW', string.format('%.0f', ARGV[9] - now)}
end
local new, replaced, unchanged = 0, 0, 0
local pieces, cursor = {}, 0
for at = 1, #ARGV[8], 12 do
  local id, value = struct.unpack(SAMPLE, ARGV[8], at)
  local minute = first_minute + math.floor(id / 61440000)
  local place, there = find(raw, 12, id)
  local before = there and select(2, struct.unpack(SAMPLE, raw, place + 1))
  if there and (ARGV[11] == '1' or before == value) then
    unchanged = unchanged + 1
  else
    pieces[#pieces + 1] = string.sub(raw, cursor + 1, place)
    pieces[#pieces + 1] = string.sub(ARGV[8], at, at + 11)
    cursor = there and place + 12 or place
    if there then
      replaced, anew[minute] = replaced + 1, true
    else
      new, added[minute] = new + 1, merge(added[minute], {1, value, value, value})
    end
  end
end
pieces[#pieces + 1] = string.sub(raw, cursor + 1)
raw = table.concat(pieces)
if #raw > 120000 then
  return {'FULL'}
elseif new + replaced == 0 then
  return {'APPENDED', 0, 0, unchanged}
end
local reply = {'APPENDED', new, replaced, unchanged}

---- delete
-- Deletes samples of one chunk.
-- KEYS: days, raw, minutes, hours
-- ARGV: day, hour, settings, raw kept until (ms or ''), minutes kept until, hours kept until, first minute of the chunk,
--   first ID, ID after the last
-- Replies: DELETED, samples; or TOO_OLD; or OVERFLOW; or OTHER_SETTINGS, those stored; or DAMAGED
local from, to = find(raw, 12, tonumber(ARGV[8])), find(raw, 12, tonumber(ARGV[9]))
if from >= to then
  return {'DELETED', 0}
end
raw = string.sub(raw, 1, from) .. string.sub(raw, to + 1)
for minute = math.floor(ARGV[8] / 61440000), math.floor((ARGV[9] - 1) / 61440000) do
  anew[first_minute + minute] = true
end
local reply = {'DELETED', (to - from) / 12}

---- rebuild
-- Computes the roll-ups of one chunk anew, and those of its hour and its day. Until the last chunk of the day, nobody else
-- changes the day, because its keys disagree.
-- KEYS: days, raw, minutes, hours
-- ARGV: day, hour, settings, raw kept until (ms or ''), minutes kept until, hours kept until, first minute of the chunk,
--   minutes of a chunk, 1 for the last chunk
-- Replies: REBUILT, samples of the day; or TOO_OLD; or OVERFLOW; or OTHER_SETTINGS, those stored
rebuilding = ARGV[9] ~= '1'
for minute = first_minute, first_minute + ARGV[8] - 1 do
  anew[minute] = true
end
local reply = {'REBUILT', 0}

---- roll_up
-- If samples only came, they are added to the roll-ups. If a value was replaced or deleted, its minute is computed from the
-- samples, the hour from its minutes, and the day from its hours.
local sum = nil
for minute, roll_up in pairs(added) do
  if not anew[minute] then
    local at, there = find(minutes, 32, minute)
    minutes = put(minutes, minute, merge(there and roll_up_at(minutes, at) or nil, roll_up))
    sum = merge(sum, roll_up)
  end
end
if next(anew) then
  for minute in pairs(anew) do
    local first = (minute - first_minute) * 61440000
    minutes = put(minutes, minute, scan(raw, first, first + 61440000))
  end
  hours = put(hours, hour, fold(minutes))
  total = fold(hours)
else
  local at, there = find(hours, 32, hour)
  hours = put(hours, hour, merge(there and roll_up_at(hours, at) or nil, sum))
  total = merge(total, sum)
end
if overflow then
  return {'OVERFLOW'}
end

---- write
-- Writes what changed. A day without samples leaves nothing behind.
local function keep(key, kept_until)
  if kept_until == '' then
    redis.call('PERSIST', key)
  else
    -- A minute longer, so that a key is there as long as it is needed.
    redis.call('PEXPIREAT', key, string.format('%.0f', kept_until + 60000))
  end
end
local function keep_all()
  keep(KEYS[2], ARGV[4])
  keep(KEYS[3], ARGV[5])
  keep(KEYS[4], ARGV[6])
end
local removes = next(anew) ~= nil
require_commands('HSET')
if removes or not stored_raw[1] then
  require_commands('PERSIST', 'PEXPIREAT')
end
if removes then
  require_commands('HDEL', 'UNLINK')
  -- Start with a command that is allowed when memory is full. Then the rest of the script is allowed too.
  keep(KEYS[2], ARGV[4])
end
if total or rebuilding then
  local n = rebuilding and 'rebuilding' or settings .. ':' .. total[1]
  redis.call('HSET', KEYS[2], ':n', n, chunk, raw)
  redis.call('HSET', KEYS[3], ':n', n, hour, minutes)
  redis.call('HSET', KEYS[4], ':n', n, 'all', hours)
  redis.call('HSET', KEYS[1], ':settings', settings, day, total and struct.pack(ROLL_UP, day, unpack(total)) or '')
  if removes or not stored_raw[1] then
    keep_all()
  end
  if raw == '' then
    redis.call('HDEL', KEYS[2], chunk)
  end
  if minutes == '' then
    redis.call('HDEL', KEYS[3], hour)
  end
end

---- empty
if not total and not rebuilding then
  redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4])
  redis.call('HDEL', KEYS[1], day)
end

---- reply
if reply[1] == 'REBUILT' then
  reply[2] = total and total[1] or 0
end
return reply

---- remove
-- Deletes a day, with its roll-ups.
-- KEYS: days, raw, minutes, hours
-- ARGV: day, settings
-- Replies: REMOVED, samples; or OTHER_SETTINGS, those stored
local stored = redis.call('HMGET', KEYS[1], ':settings', ARGV[1])
local fields = redis.call('HLEN', KEYS[1])
for i = 2, 4 do
  redis.call('HLEN', KEYS[i])
end
if stored[1] and stored[1] ~= ARGV[2] then
  return {'OTHER_SETTINGS', stored[1]}
end
local count = stored[2] and #stored[2] == 32 and select(2, struct.unpack('>I4I4', stored[2])) or 0
require_commands('HDEL', 'UNLINK')
redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4])
if fields == (stored[1] and 1 or 0) + (stored[2] and 1 or 0) then
  redis.call('UNLINK', KEYS[1])
else
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return {'REMOVED', count}
