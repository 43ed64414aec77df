-- The stock of one product, all of it in one slot:
--
--   stock      String: units free to sell, a copy for plain readers
--   ledger     Hash: free, held, sold; version (of the last change, in microseconds since 1970, always growing); low_at
--              (stock is low at this many free units, or ''); visit (when the sweeper plans to come, in ms); and one record
--              for each reservation 'r:ID' and delivery 'd:ID':
--              'held 2 1700000000000 600000' (units, end in ms, length of the hold in ms), 'sold 2', 'released 2',
--              'expired 2', 'restocked 2'
--   deadlines  Sorted Set: the fields of the holds, scored by their end
--   settled    Sorted Set: the fields of the other records, scored by when they are forgotten
--   outbox     List: changes on their way to the feed of all products, oldest first:
--              'version previous-version event units alert field'
--
-- Free, held, and sold units always add up to all units ever added. The ledger decides. The copy is written, but never trusted.

---- read
-- Reads the ledger and the record that the script is about.
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
local was_low, copy_written = free <= low_at, false
-- Larger than the version before, even if the clock was set back.
local version
if micros > before then
  version = time[1] .. string.sub('00000' .. time[2], -6)
else
  micros = before + 1
  version = string.format('%.0f', micros)
end

---- types
-- A key of another type ends the script here, before it has written.
call('ZCARD', deadlines)
call('ZCARD', settled)

---- feed
-- Puts the change into the outbox. When memory is full, the feed misses the change. Any other error ends the script before the
-- ledger changes.
local low = free <= low_at
local alert = low == was_low and ' - ' or low and ' raised ' or ' cleared '
local waiting = redis.pcall('RPUSH', outbox, version .. ' ' .. row[4] .. event .. units .. alert .. field)
if type(waiting) == 'table' then
  if not string.find(waiting.err, 'OOM', 1, true) then
    if copy_written then
      call('SET', stock, row[1])
    end
    require_commands('RPUSH')
    return waiting
  end
  waiting = 0
end

---- answer
-- `tasks` tells the caller what to do after a change: 1 raise the alert, 2 clear it, 4 let the sweeper come sooner, 8 sweep now,
-- because no sweeper came for a minute, 16 trim the outbox, because no sweeper empties it.
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
-- Holds units for a time, all or none, once per reservation ID.
-- KEYS: stock, ledger, deadlines, settled, outbox
-- ARGV: field, units, hold (ms)
-- Replies: HELD, tasks, version, free, held, sold, end (ms); or HELD_BEFORE, free, units, end (ms); or OUT_OF_STOCK, free, sweep;
--   or ENDED, state, units; or DUE; or UNKNOWN_PRODUCT
local outcome, event, units, detail = 'HELD', ' held ', ARGV[2], string.format('%d', now + ARGV[3])
local due = call('ZCOUNT', deadlines, '-inf', now)
if record then
  local state, had, ends = string.match(record, '^(%a+) (%d+) ?(%d*)')
  if state ~= 'held' then
    return {'ENDED', state or 'unknown', had or 0}
  end
  require_commands('SET')
  -- A write that changes nothing, so that a caller who waits for replicas waits for the first call.
  call('SET', stock, row[1], 'GET')
  return {'HELD_BEFORE', free, had, ends}
elseif due > 0 then
  return {'DUE'}
elseif tonumber(units) > free then
  return {'OUT_OF_STOCK', free, visit < -60000 and 1 or 0}
end
-- SET and RPUSH come first: if one of them is refused, nothing has to be undone but the copy. So only the others are checked, with
-- as many arguments as they need, since Redis 8.10 counts them.
local may = redis.acl_check_cmd
if not (may('HSET', stock, 0, 0) and may('ZADD', stock, 0, 0)) then
  require_commands('HSET', 'ZADD')
end
free, held = free - units, held + units
-- GET lets SET refuse a key of another type.
local before_set = redis.pcall('SET', stock, free, 'GET')
if type(before_set) == 'table' then
  require_commands('SET')
  return before_set
end
copy_written = true

---- reserve_write
call('HSET', ledger, 'free', free, 'held', held, 'version', version, field, 'held ' .. units .. ' ' .. detail .. ' ' .. ARGV[3])
call('ZADD', deadlines, detail, field)

---- confirm
-- Sells what is held, once. A hold can be confirmed until a script returns its units to stock.
-- KEYS: stock, ledger, deadlines, settled, outbox
-- ARGV: field, record TTL (ms), units to take from the free ones if none are held or 0
-- Replies: SOLD, tasks, version, free, held, sold, units; or BEFORE, units; or OUT_OF_STOCK, free, sweep;
--   or ENDED, state, units; or UNKNOWN_PRODUCT
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
  require_commands('SET')
  free, units, event = free - detail, detail, ' sold_late '
else
  return {'ENDED', state or 'unknown', units or 0}
end
local may = redis.acl_check_cmd
if not (may('ZREM', stock, 0) and may('HSET', stock, 0, 0) and may('ZADD', stock, 0, 0)) then
  require_commands('ZREM', 'HSET', 'ZADD')
end
sold = sold + units

---- release
-- Returns what is held to stock, once. An ID that holds nothing can never hold anything afterward: a reservation
-- that arrives late would take units that no client releases.
-- KEYS: stock, ledger, deadlines, settled, outbox
-- ARGV: field, record TTL (ms), 'sold' to return sold units too or ''
-- Replies: RELEASED, tasks, version, free, held, sold, units; or BEFORE, units; or ENDED, state, units; or UNKNOWN_PRODUCT
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
require_commands('ZREM', 'HSET', 'ZADD', 'SET')
free = free + units
local detail = units

---- restock
-- Adds units, once per delivery ID.
-- KEYS: stock, ledger, deadlines, settled, outbox
-- ARGV: field, record TTL (ms), units
-- Replies: RESTOCKED, tasks, version, free, held, sold, 0; or TOO_MANY; or UNKNOWN_PRODUCT
local outcome, event, settled_as, units, detail = 'RESTOCKED', ' restocked ', 'restocked ', ARGV[3], 0
if record then
  require_commands('SET')
  call('SET', stock, row[1], 'GET')
  return {'RESTOCKED', 0, row[4], free, held, sold, 0}
elseif free + held + sold + units > 1e13 then
  return {'TOO_MANY'}
end
call('GET', stock)
require_commands('ZREM', 'HSET', 'ZADD', 'SET')
free = free + units

---- settle
-- Writes how a reservation ended. It starts with ZREM, which is allowed when memory is full. Then the rest is allowed too.
call('ZREM', deadlines, field)
call('HSET', ledger, 'held', held, 'sold', sold, 'version', version, field, settled_as .. units)
call('ZADD', settled, now + ARGV[2], field)
if event ~= ' sold ' then
  call('HSET', ledger, 'free', free)
  call('SET', stock, free)
end

---- extend
-- Extends a hold. It never shortens one.
-- KEYS: stock, ledger, deadlines, settled, outbox
-- ARGV: field, time from now (ms)
-- Replies: EXTENDED, end (ms), units; or ENDED, state, units; or UNKNOWN_PRODUCT
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
-- Reads the stock, and repairs the copy.
-- KEYS: stock, ledger, deadlines, settled, outbox
-- ARGV: unused
-- Replies: LEVEL, free, held, sold; or DUE; or UNKNOWN_PRODUCT
if call('ZCOUNT', deadlines, '-inf', now) > 0 then
  return {'DUE'}
elseif call('GET', stock) ~= row[1] then
  require_commands('SET')
  call('SET', stock, row[1])
end
return {'LEVEL', free, held, sold}

---- set_up
-- Creates the stock of a product. If it exists, only the threshold changes. If the ledger was lost, the copy says what is free,
-- and what was held or sold is forgotten.
-- KEYS: stock, ledger, deadlines, settled, outbox
-- ARGV: unused, units free to sell, units at which stock is low or ''
-- Replies: CREATED, tasks, version, free, held, sold; or THERE, tasks, version, free, held, sold; or RESTORED, tasks, version,
--   free, held, sold
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
-- Returns the units of at most 100 holds that are over, and forgets at most 200 records whose TTL is over.
-- KEYS: stock, ledger, deadlines, settled, outbox
-- ARGV: unused, record TTL (ms)
-- Replies: EXPIRED, tasks, version, units returned, records forgotten, 1 if there are more; or UNKNOWN_PRODUCT
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
-- Tells the sweeper what to do for a product and when to come again. Removes what was delivered from the outbox.
-- KEYS: stock, ledger, deadlines, settled, outbox
-- ARGV: unused, last delivered version or '', max time until the next visit (ms)
-- Replies: VISIT, version, free if low or '', free, held, sold, next visit (ms), 1 if records are due, 1 if a repair is needed,
--   changes (list); or UNKNOWN_PRODUCT
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
-- First step of a repair: deletes all times, including those without a record. The next steps write those of the records again.
-- KEYS: stock, ledger, deadlines, settled, outbox
-- ARGV: unused
-- Replies: REPAIR, cursor; or UNKNOWN_PRODUCT
call('ZCARD', deadlines)
call('ZCARD', settled)
require_commands('UNLINK')
call('UNLINK', deadlines, settled)
return {'REPAIR', '0'}

---- repair
-- Gives each record its time again, one page at a time. No hold lasts longer from now than it was made for, even if the clock
-- was set back.
-- KEYS: stock, ledger, deadlines, settled, outbox
-- ARGV: unused, cursor, record TTL of a reservation (ms), record TTL of a delivery (ms)
-- Replies: REPAIR, cursor; or UNKNOWN_PRODUCT
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
    ends[#ends + 1], ends[#ends + 2] = now + (string.sub(name, 1, 1) == 'd' and ARGV[4] or ARGV[3]), name
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
-- Writes changes of one product into the feed of all products, each once and in order, even if several clients deliver them.
-- KEYS: feed, versions (last version of each product in the feed)
-- ARGV: product, max changes in the feed, version before the first change, then for each change: version, change
-- Replies: DELIVERED, changes
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
-- Updates which products are low on stock. Older news changes nothing.
-- KEYS: low products by free units, versions (last version of each product in them)
-- ARGV: for each product: product, version, free or ''
-- Replies: ALERTED
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
-- Lists the products that the sweeper must visit, with their times. If a visit is planned too far ahead, the clock was set back.
-- KEYS: products by next visit
-- ARGV: max products, max time until the next visit (ms)
-- Replies: PRODUCTS, time now (ms), products and times (list)
local now = now_ms()
local due = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[1], 'WITHSCORES')
if #due == 0 then
  due = redis.call('ZRANGE', KEYS[1], now + 2 * ARGV[2], '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[1], 'WITHSCORES')
end
return {'PRODUCTS', now, due}

---- plan
-- Plans the next visit of each product, unless another client has changed it meanwhile.
-- KEYS: products by next visit
-- ARGV: for each product: product, time of this visit (ms), time of the next visit or '' for never (ms)
-- Replies: PLANNED
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
