-- One product's stock in the memory of a script. open() reads it and returns expired holds to sale; the script changes what
-- was read; answer() writes it all and replies. So every key is read before any is written.
--
-- KEYS: free units, ledger, deadlines of holds, times until settled records are remembered; then those of `abroad`
-- ARGV: product, ms for which a settled record is remembered, entries that the list of updates keeps; then the script's own
local HIGHEST = 9007199254740991
-- So many holds at most expire in one step, so that no step takes long; the caller then asks again.
local AT_ONCE = 250
-- So many entries more than it keeps a list may have before it is trimmed: trimming each time would be a command more.
local SLACK = 100

local product, remember, keeps = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- A record is 'held 2 1700000000000' (units, and until when), or how it was settled: 'sold 2', 'released 2', 'expired 2'.
local function read(record)
  local state, units, till = string.match(record or '', '^(%a+) (%d+) ?(%d*)$')
  return state, tonumber(units), tonumber(till)
end

local function tell(stock, event, id, units)
  stock.changes = stock.changes + 1
  stock.entries[#stock.entries + 1] = string.format(
    '{"n":%.0f,"product":"%s","event":"%s","id":"%s","units":%.0f,"free":%.0f,"held":%.0f,"sold":%.0f,"at_ms":%.0f',
    stock.changes, product, event, string.sub(id, 3), units, stock.free, stock.held, stock.sold, now)
end

local function write(stock, field, value)
  stock.fields[#stock.fields + 1] = field
  stock.fields[#stock.fields + 1] = value
end

local function hold(stock, field, units, till)
  write(stock, field, 'held ' .. integer(units) .. ' ' .. integer(till))
  stock.deadlines[#stock.deadlines + 1] = integer(till)
  stock.deadlines[#stock.deadlines + 1] = field
  stock.earliest = math.min(stock.earliest or till, till)
end

-- From now on the id is spent. It is remembered, so that who asks again gets the same answer.
local function settle(stock, field, state, units)
  local record = state .. ' ' .. integer(units)
  write(stock, field, record)
  stock.settled[#stock.settled + 1] = integer(now + remember)
  stock.settled[#stock.settled + 1] = field
  stock.ended[#stock.ended + 1] = field
  stock.earliest = math.min(stock.earliest or now + remember, now + remember)
  if field == stock.asked then
    stock.record = record
  end
end

-- The fields whose settled records were remembered long enough, but for those that are written anew in this step.
local function old_records(stock, most)
  local anew, old = {}, {}
  for i = 1, #stock.fields, 2 do
    anew[stock.fields[i]] = true
  end
  for _, field in ipairs(redis.call('ZRANGE', KEYS[4], '-inf', integer(now), 'BYSCORE', 'LIMIT', 0, most)) do
    if not anew[field] then
      old[#old + 1] = field
    end
  end
  return old
end

local function forget(fields)
  if #fields > 0 then
    redis.call('HDEL', KEYS[2], unpack(fields))
    redis.call('ZREM', KEYS[4], unpack(fields))
  end
end

-- Reads, and decides what is to be written elsewhere; then writes. True if the threshold was crossed.
local function commit(stock)
  local forgotten = {}
  if #stock.settled > 0 then
    -- Two go for each that comes, so the records do not pile up.
    forgotten = old_records(stock, #stock.settled)
  end
  local low = stock.low_at ~= nil and stock.free <= stock.low_at
  local crossed = low ~= (stock.alert == 'raised')
  if crossed and #stock.entries == 0 then
    tell(stock, 'threshold', 'x:', 0)
  end
  local due = abroad.index and stock.earliest and stock.earliest < (stock.due or HIGHEST) and stock.earliest or nil
  if #stock.fields == 0 and not crossed then
    return false
  end
  abroad.look(low or crossed, due)

  for i, entry in ipairs(stock.entries) do
    local alert = i == #stock.entries and crossed and ',"alert":"' .. (low and 'raised' or 'cleared') .. '"' or ''
    stock.entries[i] = entry .. alert .. '}'
  end
  abroad.tell(stock, low, crossed, due)
  if stock.free ~= stock.was or stock.new then
    redis.call('INCRBY', KEYS[1], integer(stock.free - stock.was))
  end
  write(stock, 'held', integer(stock.held))
  write(stock, 'sold', integer(stock.sold))
  write(stock, 'changes', integer(stock.changes))
  if crossed then
    write(stock, 'alert', low and 'raised' or '')
  end
  if due then
    write(stock, 'due', integer(due))
  end
  redis.call('HSET', KEYS[2], unpack(stock.fields))
  if #stock.deadlines > 0 then
    redis.call('ZADD', KEYS[3], unpack(stock.deadlines))
  end
  if #stock.settled > 0 then
    redis.call('ZADD', KEYS[4], unpack(stock.settled))
  end
  -- What leaves goes last: a Sorted Set without members is gone, and while its slot moves a script that asks for a key which
  -- is gone fails in its middle.
  if #stock.ended > 0 then
    redis.call('ZREM', KEYS[3], unpack(stock.ended))
  end
  forget(forgotten)
  return crossed
end

local function expire(stock, fields)
  local records = redis.call('HMGET', KEYS[2], unpack(fields))
  for i, field in ipairs(fields) do
    local state, units = read(records[i])
    if state == 'held' and units <= stock.held then
      stock.free, stock.held = stock.free + units, stock.held - units
      stock.returned = stock.returned + units
      settle(stock, field, 'expired', units)
      tell(stock, 'expired', field, units)
    else
      settle(stock, field, state or 'unknown', units or 0)
    end
  end
end

-- Opens the stock, with the record of `field`. Gives it, or nil and the refusal to answer with.
local function open(field, create)
  local free = redis.call('GET', KEYS[1]) or create and '0'
  local row = redis.call('HMGET', KEYS[2], 'held', 'sold', 'changes', 'low_at', 'alert', 'due', field)
  local expired = redis.call('ZRANGE', KEYS[3], '-inf', integer(now), 'BYSCORE', 'LIMIT', 0, AT_ONCE)
  if not free then
    return nil, {'UNKNOWN_PRODUCT'}
  end
  local stock = {
    free = whole(free, HIGHEST), held = whole(row[1] or '0', HIGHEST), sold = whole(row[2] or '0', HIGHEST),
    changes = whole(row[3] or '0', HIGHEST), low_at = whole(row[4] or '', HIGHEST), alert = row[5],
    due = whole(row[6] or '', HIGHEST), asked = field, record = row[7] or nil, returned = 0,
    -- What commit() writes: the ledger's fields, the list's entries, and the sorted sets'.
    fields = {}, entries = {}, deadlines = {}, settled = {}, ended = {},
  }
  -- INCRBY takes no '007', and is not the first to write.
  if not stock.free or integer(stock.free) ~= free then
    return nil, {'MALFORMED', KEYS[1], free}
  elseif not (stock.held and stock.sold and stock.changes) then
    return nil, {'MALFORMED', KEYS[2], 'held, sold or changes'}
  elseif stock.record and not read(stock.record) then
    return nil, {'MALFORMED', KEYS[2], field}
  end
  stock.was = stock.free
  if #expired > 0 then
    expire(stock, expired)
  end
  if #expired == AT_ONCE then
    commit(stock)
    return nil, {'MORE'}
  end
  return stock
end

local function answer(stock, outcome, ...)
  return {outcome, commit(stock) and 1 or 0, ...}
end
