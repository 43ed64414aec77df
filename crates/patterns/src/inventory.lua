-- The stock of one product, all of it in one slot:
--
--   KEYS[1] stock      String: units free to sell, a copy for plain readers
--   KEYS[2] ledger     Hash: free, held, sold; version (of the last change, in microseconds since 1970, always growing); low_at
--                      (stock is low at so many units free, or ''); visit (when the sweeper means to come, in ms); and a record
--                      of each reservation 'r:ID' and delivery 'd:ID':
--                      'held 2 1700000000000 600000' (units, end in ms, ms for which they were held), 'sold 2', 'released 2',
--                      'expired 2', 'restocked 2'
--   KEYS[3] deadlines  Sorted Set: the fields of the holds, by when they end
--   KEYS[4] settled    Sorted Set: the fields of the other records, by when they are forgotten
--   KEYS[5] outbox     List: changes on their way to the feed of all products, oldest first:
--                      'version previous-version event units alert field'
--
-- Free, held, and sold units are always those that were ever put in. The ledger decides; the copy is written, never trusted.
-- ARGV: the record's field, then the script's own

---- read
local call, field = redis.call, ARGV[1]
local stock, ledger, deadlines, settled, outbox = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local time = call('TIME')
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)
local row = call('HMGET', ledger, 'free', 'held', 'sold', 'version', 'low_at', 'visit', field)
local free, held, sold, before = tonumber(row[1]), tonumber(row[2]), tonumber(row[3]), tonumber(row[4])
if not (free and held and sold and before) then
  if not row[1] then
    return {'UNKNOWN_PRODUCT'}
  end
  error({err = 'MALFORMED ' .. ledger .. ' free, held, sold, or version'})
end
local low_at, visit, record = tonumber(row[5]) or -1, (tonumber(row[6]) or 0) - now, row[7]
local was_low, copy = free <= low_at, nil
if micros <= before then
  micros = before + 1
end
local version = string.format('%.0f', micros)

---- types
-- A key of another type ends the script here, before it has written.
call('ZCARD', deadlines)
call('ZCARD', settled)

---- feed
-- When memory is full, a change is left out of the feed. An outbox of another type ends the script.
local low = free <= low_at
local alert = low == was_low and ' - ' or low and ' raised ' or ' cleared '
local waiting = redis.pcall('RPUSH', outbox, version .. ' ' .. row[4] .. event .. units .. alert .. field)
if type(waiting) == 'table' then
  if not string.find(waiting.err, 'OOM', 1, true) then
    if copy then
      call('SET', stock, copy)
    end
    return waiting
  end
  waiting = 0
end

---- answer
-- What the caller must do after a change: 1 raise the alert, 2 clear it, 4 tell the sweeper to come sooner, 8 sweep, as nobody has
-- come for a minute, 16 cut the outbox, as nobody empties it.
local tasks = alert == ' - ' and 0 or low and 1 or 2
if visit > 1000 or visit < -60000 then
  call('HSET', ledger, 'visit', now + 1000)
  tasks = tasks + (visit > 0 and 4 or 8)
end
if waiting > 1100 then
  tasks = tasks + 16
end
return {outcome, tasks, version, free, held, sold, detail}

---- reserve
-- Takes units out of those free to sell and holds them for a time, all or none, once per ID.
-- ARGV: units, ms to hold them
local outcome, event, units, detail = 'HELD', ' held ', ARGV[2], now + ARGV[3]
local first = call('ZRANGE', deadlines, 0, 0, 'WITHSCORES')[2]
if record then
  local state, had, ends = string.match(record, '^(%a+) (%d+) ?(%d*)')
  if state ~= 'held' then
    return {'ENDED', state or 'unknown', had or 0}
  end
  require_commands('SET')
  -- A write that changes nothing, so that a caller who waits for replicas waits for the first call.
  call('SET', stock, row[1], 'GET')
  return {'HELD_BEFORE', free, had, ends}
elseif first and tonumber(first) <= now then
  return {'DUE'}
elseif tonumber(units) > free then
  return {'OUT_OF_STOCK', free, visit < -60000 and 1 or 0}
end
-- With as many arguments as the commands need, since Redis 8.10 counts them.
local may = redis.acl_check_cmd
if not (may('SET', stock, 0) and may('RPUSH', stock, 0) and may('HSET', stock, 0, 0) and may('ZADD', stock, 0, 0)) then
  require_commands('SET', 'RPUSH', 'HSET', 'ZADD')
end
free, held = free - units, held + units
-- The first write, which another type of value refuses.
copy = call('SET', stock, free, 'GET')

---- reserve_write
call('HSET', ledger, 'free', free, 'held', held, 'version', version, field, 'held ' .. units .. ' ' .. detail .. ' ' .. ARGV[3])
call('ZADD', deadlines, detail, field)

---- confirm
-- Sells what is held, once. A hold can be confirmed until a script returns its units.
-- ARGV: ms to remember it; the units to take from the free ones if none are held, or 0
local outcome, event, settled_as, detail = 'SOLD', ' sold ', 'sold ', ARGV[3]
local state, units = string.match(record or '', '^(%a+) (%d+)')
if state == 'held' then
  held, detail = held - units, units
elseif state == 'sold' then
  require_commands('SET')
  call('SET', stock, row[1], 'GET')
  return {'BEFORE', units}
elseif detail ~= '0' and (not state or state == 'expired') then
  if tonumber(detail) > free then
    return {'OUT_OF_STOCK', free, 0}
  end
  call('GET', stock)
  free, units, event = free - detail, detail, ' sold_late '
else
  return {'ENDED', state or 'unknown', units or 0}
end
local may = redis.acl_check_cmd
if not (may('RPUSH', stock, 0) and may('ZREM', stock, 0) and may('HSET', stock, 0, 0) and may('ZADD', stock, 0, 0)
    and may('SET', stock, 0)) then
  require_commands('RPUSH', 'ZREM', 'HSET', 'ZADD', 'SET')
end
sold = sold + units

---- release
-- Returns what is held to sale, once. An ID that holds nothing is spent: a reservation that arrives late must not take units that
-- nobody will ever release.
-- ARGV: ms to remember it, 'sold' if units that were sold come back too
local outcome, event, settled_as = 'RELEASED', ' released ', 'released '
local state, units = string.match(record or '', '^(%a+) (%d+)')
if not state then
  require_commands('HSET', 'ZADD')
  call('HSET', ledger, field, 'released 0')
  call('ZADD', settled, now + ARGV[2], field)
  return {'RELEASED', 0, row[4], free, held, sold, 0}
elseif state == 'held' then
  held = held - units
elseif state == 'sold' and ARGV[3] == 'sold' then
  sold, event = sold - units, ' returned '
elseif state == 'sold' then
  return {'ENDED', state, units}
else
  require_commands('SET')
  call('SET', stock, row[1], 'GET')
  return {'BEFORE', units}
end
call('GET', stock)
require_commands('RPUSH', 'ZREM', 'HSET', 'ZADD', 'SET')
free = free + units
local detail = units

---- restock
-- Adds units, once per delivery.
-- ARGV: ms to remember the delivery, units
local outcome, event, settled_as, units, detail = 'RESTOCKED', ' restocked ', 'restocked ', ARGV[3], 0
if record then
  require_commands('SET')
  call('SET', stock, row[1], 'GET')
  return {'RESTOCKED', 0, row[4], free, held, sold, 0}
elseif free + held + sold + units > 1e13 then
  return {'TOO_MANY'}
end
call('GET', stock)
require_commands('RPUSH', 'ZREM', 'HSET', 'ZADD', 'SET')
free = free + units

---- settle
-- Writes how an ID has ended. It begins with ZREM, which a full memory allows; and then the rest is allowed, too.
call('ZREM', deadlines, field)
call('HSET', ledger, 'held', held, 'sold', sold, 'version', version, field, settled_as .. units)
call('ZADD', settled, now + ARGV[2], field)
if event ~= ' sold ' then
  call('HSET', ledger, 'free', free)
  call('SET', stock, free)
end

---- extend
-- Holds what is held for longer, never for less.
-- ARGV: ms from now
local state, units, till = string.match(record or '', '^(%a+) (%d+) ?(%d*)')
if state ~= 'held' then
  return {'ENDED', state or 'unknown', units or 0}
end
require_commands('HSET', 'ZADD')
local later = math.max(till, now + ARGV[2])
call('HSET', ledger, field, 'held ' .. units .. ' ' .. later .. ' ' .. later - now)
call('ZADD', deadlines, later, field)
return {'EXTENDED', later, units}

---- level
local first = call('ZRANGE', deadlines, 0, 0, 'WITHSCORES')[2]
if first and tonumber(first) <= now then
  return {'DUE'}
elseif call('GET', stock) ~= row[1] then
  require_commands('SET')
  call('SET', stock, row[1])
end
return {'LEVEL', free, held, sold}

---- set_up
-- Puts a product under stock keeping. If it is there, only the threshold changes. If its ledger was lost, the copy says what is
-- free; what was held or sold is forgotten.
-- ARGV: units free to sell, units at which stock is low or ''
local stock, ledger, deadlines, settled, outbox = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local time = redis.call('TIME')
local micros, copy = time[1] * 1000000 + time[2], redis.call('GET', stock)
local row = redis.call('HMGET', ledger, 'free', 'held', 'sold', 'version', 'low_at')
redis.call('ZCARD', deadlines)
redis.call('ZCARD', settled)
redis.call('LLEN', outbox)
local outcome = row[1] and 'THERE' or copy and 'RESTORED' or 'CREATED'
local free = whole(row[1] or copy or ARGV[2], row[1] and ledger or stock, 'free')
local held, sold = whole(row[2] or '0', ledger, 'held'), whole(row[3] or '0', ledger, 'sold')
local before = whole(row[4] or '0', ledger, 'version')
local was_low, low = row[1] and free <= (tonumber(row[5]) or -1) or false, free <= (tonumber(ARGV[3]) or -1)
local alert = low == was_low and ' - ' or low and ' raised ' or ' cleared '
local version = string.format('%.0f', math.max(before + 1, micros))
require_commands('HSET', 'SET', 'RPUSH', 'UNLINK')
redis.call('HSET', ledger, 'free', free, 'held', held, 'sold', sold, 'version', version, 'low_at', ARGV[3])
redis.call('SET', stock, free)
if not row[1] then
  redis.call('HSET', ledger, 'visit', math.floor(micros / 1000))
  redis.call('RPUSH', outbox, version .. ' 0 set_up ' .. free .. alert .. 'x:')
  redis.call('UNLINK', deadlines, settled)
elseif alert ~= ' - ' then
  redis.call('RPUSH', outbox, version .. ' ' .. row[4] .. ' threshold 0' .. alert .. 'x:')
end
return {outcome, low and 1 or 2, version, free, held, sold}

---- expire
-- Returns at most 100 holds whose time is over, and forgets at most 200 records that were remembered long enough.
-- ARGV: ms to remember what has expired
local due = call('ZRANGE', deadlines, '-inf', now, 'BYSCORE', 'LIMIT', 0, 100)
local old = call('ZRANGE', settled, '-inf', now, 'BYSCORE', 'LIMIT', 0, 200)
local records = #due > 0 and call('HMGET', ledger, unpack(due)) or {}
call('GET', stock)
call('LLEN', outbox)
local fields, scores, entries, returned, previous = {}, {}, {}, 0, row[4]
for i, name in ipairs(due) do
  local units = string.match(records[i] or '', '^held (%d+)')
  if units then
    local low_before = free <= low_at
    free, held, returned = free + units, held - units, returned + units
    local low = free <= low_at
    local alert = low == low_before and ' - ' or ' cleared '
    version = string.format('%.0f', micros + #entries)
    entries[#entries + 1] = version .. ' ' .. previous .. ' expired ' .. units .. alert .. name
    fields[#fields + 1], fields[#fields + 2] = name, 'expired ' .. units
    scores[#scores + 1], scores[#scores + 2] = now + ARGV[2], name
    previous = version
  end
end
require_commands('ZREM', 'HDEL', 'HSET', 'ZADD', 'SET', 'RPUSH')
if #due > 0 then
  call('ZREM', deadlines, unpack(due))
end
if #entries > 0 then
  call('HSET', ledger, 'free', free, 'held', held, 'version', version, unpack(fields))
  call('ZADD', settled, unpack(scores))
  call('SET', stock, free)
  call('RPUSH', outbox, unpack(entries))
end
-- What leaves goes last.
if #old > 0 then
  call('HDEL', ledger, unpack(old))
  call('ZREM', settled, unpack(old))
end
local more = (#due == 100 or #old == 200) and 1 or 0
local cleared = was_low and free > low_at and 1 or 0
return {'EXPIRED', cleared, version, returned, #old, more}

---- visit
-- What the sweeper wants to know of a product, and when it comes again. Takes out of the outbox what it has delivered.
-- ARGV: the version of the last change that was delivered or '', ms until it comes again at the latest
local first = call('ZRANGE', deadlines, 0, 0, 'WITHSCORES')[2]
local oldest = call('ZRANGE', settled, 0, 0, 'WITHSCORES')[2]
local entries, done = call('LRANGE', outbox, 0, 1199), 0
for i, entry in ipairs(entries) do
  if string.match(entry, '^[^ ]*') == ARGV[2] then
    done = i
  end
end
local due = math.min(tonumber(first) or math.huge, tonumber(oldest) or math.huge)
-- Six fields are no records. Records that have no time have lost a key; a version far ahead has seen another clock.
local records = call('HLEN', ledger) - 6
local repair = records ~= call('ZCARD', deadlines) + call('ZCARD', settled) or before > now * 1000 + 60000000
call('GET', stock)
local again = math.min(due, now + (#entries > 0 and 1000 or ARGV[3]))
require_commands('LTRIM', 'SET', 'HSET')
-- Allowed when memory is full, so that the rest is, too.
call('LTRIM', outbox, done, -1)
call('SET', stock, row[1])
call('HSET', ledger, 'visit', again)
return {'VISIT', row[4], low_at >= free and row[1] or '', free, held, sold, again, due <= now and 1 or 0, repair and 1 or 0, {unpack(entries, done + 1)}}

---- forget_times
-- First step of a repair: forgets the times, so that what has no record is gone. The next steps write those of the records.
call('ZCARD', deadlines)
call('ZCARD', settled)
require_commands('UNLINK')
call('UNLINK', deadlines, settled)
return {'REPAIR', '0'}

---- repair
-- Gives each record its time again, a page at a time. No hold lasts longer from now than it was made for, so a clock that was set
-- back does not make it last.
-- ARGV: cursor, ms to remember what has ended, ms to remember a delivery
local page = call('HSCAN', ledger, ARGV[2], 'MATCH', '[rd]:*', 'COUNT', 100)
call('ZCARD', deadlines)
call('ZCARD', settled)
local fields, holds, ends = {}, {}, {}
for i = 1, #page[2], 2 do
  local name, state, units, till, ms = page[2][i], string.match(page[2][i + 1], '^(%a+) (%d+) ?(%d*) ?(%d*)$')
  if state == 'held' then
    local at_most = math.min(tonumber(till) or 0, now + (tonumber(ms) or 0))
    fields[#fields + 1], fields[#fields + 2] = name, 'held ' .. units .. ' ' .. at_most .. ' ' .. ms
    holds[#holds + 1], holds[#holds + 2] = at_most, name
  else
    ends[#ends + 1], ends[#ends + 2] = now + ARGV[string.sub(name, 1, 1) == 'd' and 4 or 3], name
  end
end
require_commands('HSET', 'ZADD')
if #holds > 0 then
  call('HSET', ledger, unpack(fields))
  call('ZADD', deadlines, unpack(holds))
end
if #ends > 0 then
  call('ZADD', settled, unpack(ends))
end
if page[1] == '0' and before > now * 1000 + 60000000 then
  call('HSET', ledger, 'version', string.format('%.0f', now * 1000))
end
return {'REPAIR', page[1]}

---- deliver
-- Writes changes of one product into the feed of all, each once and in order, however many deliver them.
-- KEYS: the feed, the last version of each product in it
-- ARGV: product, changes that the feed keeps, the version before the first change, then version and change
local time = redis.call('TIME')
local limit = time[1] * 1000000 + time[2] + 60000000
local last = redis.call('HGET', KEYS[2], ARGV[1]) or '0'
redis.call('LLEN', KEYS[1])
local first, newest, seen = 4, tonumber(ARGV[#ARGV - 1]), tonumber(last) or 0
if ARGV[3] ~= last then
  -- They do not follow what the feed has. If a late deliverer brings them, they are older: by their version, or as they are from a
  -- clock that was set back since. Otherwise changes were lost, here or there, and these are news.
  if seen <= limit and (newest <= seen or newest > limit) then
    first = #ARGV
  end
  for i = 4, #ARGV, 2 do
    if ARGV[i] == last then
      first = i + 2
    end
  end
end
local news = {}
for i = first, #ARGV - 1, 2 do
  news[#news + 1] = ARGV[i + 1]
end
require_commands('LPUSH', 'LTRIM', 'HSET')
if #news > 0 then
  redis.call('LPUSH', KEYS[1], unpack(news))
  redis.call('LTRIM', KEYS[1], 0, ARGV[2] - 1)
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[#ARGV - 1])
end
return {'DELIVERED', #news}

---- alert
-- Which products are low. What is older than what was written changes nothing.
-- KEYS: products by units free, the version of each product in it. ARGV: product, version, units free or '', and so on
local time = redis.call('TIME')
local limit = time[1] * 1000000 + time[2] + 60000000
redis.call('ZCARD', KEYS[1])
local versions, raised, cleared = {}, {}, {}
for i = 1, #ARGV, 3 do
  local last, version = tonumber(redis.call('HGET', KEYS[2], ARGV[i])) or 0, tonumber(ARGV[i + 1])
  -- A version far ahead of the clock is from one that was set back, or was lost: it is older than any that is not.
  if last > limit or version >= last and version <= limit then
    versions[#versions + 1], versions[#versions + 2] = ARGV[i], ARGV[i + 1]
    if ARGV[i + 2] == '' then
      cleared[#cleared + 1] = ARGV[i]
    else
      raised[#raised + 1], raised[#raised + 2] = ARGV[i + 2], ARGV[i]
    end
  end
end
require_commands('HSET', 'ZADD', 'ZREM')
if #versions > 0 then
  redis.call('HSET', KEYS[2], unpack(versions))
end
if #raised > 0 then
  redis.call('ZADD', KEYS[1], unpack(raised))
end
if #cleared > 0 then
  redis.call('ZREM', KEYS[1], unpack(cleared))
end
return {'ALERTED'}

---- due
-- The products that the sweeper must visit, and when it meant to. One that is planned for later than it can be has seen another
-- clock.
-- KEYS: products by when. ARGV: how many, ms until a visit at the latest
local now = now_ms()
local due = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[1], 'WITHSCORES')
if #due == 0 then
  due = redis.call('ZRANGE', KEYS[1], now + 2 * ARGV[2], '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[1], 'WITHSCORES')
end
return {'PRODUCTS', now, due}

---- plan
-- Plans the next visit of each, unless somebody has asked for another meanwhile.
-- KEYS: products by when. ARGV: product, when it was planned, when to come again or '' for never, and so on
local scores = {}
for i = 1, #ARGV, 3 do
  scores[i] = redis.call('ZSCORE', KEYS[1], ARGV[i])
end
require_commands('ZADD', 'ZREM')
local gone = {}
for i = 1, #ARGV, 3 do
  if scores[i] == ARGV[i + 1] then
    if ARGV[i + 2] == '' then
      gone[#gone + 1] = ARGV[i]
    else
      redis.call('ZADD', KEYS[1], ARGV[i + 2], ARGV[i])
    end
  end
end
if #gone > 0 then
  redis.call('ZREM', KEYS[1], unpack(gone))
end
return {'PLANNED'}
