-- A cart: units of products, the prices seen, and deadlines. No change reads all lines.
--
-- KEYS[1] cart       Hash: SKU -> units. In the other form it is a Sorted Set, scored by units: cart.rs swaps five commands.
-- KEYS[2] prices     Hash: SKU -> cents seen, and two more kinds of fields, which are no SKUs:
--                    '' -> 'lines units cents unpriced changes deadline': sums, changes counted so far, and the first deadline
--                    ' :ID' -> 'change units' for each of the last changes: its number, and the units that came or went
-- KEYS[3] deadlines  Sorted Set: SKU, scored by the millisecond at which the line leaves by itself
--
-- A script trusts the sums while they fit the number of lines and no deadline has passed. Otherwise it changes nothing and
-- answers TIDY; the client runs `tidy` and asks again.

---- once
-- What the changes of one line share. A request that was counted before is answered with the same change.
-- ARGV: cart TTL in ms, channel, message, field of the request, SKU, its field in prices
local cart, prices, deadlines, sku, field = KEYS[1], KEYS[2], KEYS[3], ARGV[5], ARGV[6]
local stored, seen = redis.call('HGET', cart, sku), redis.call('HMGET', prices, '', field, ARGV[4])
local lines, units, cents, unpriced, changes, deadline =
  string.match(seen[1] or '0 0 0 0 0 ', '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d*)$')
-- If the line is there, so is the cart that the sums are of; otherwise the lines are counted.
if not lines or stored and not seen[1] or not stored and redis.call('HLEN', cart) ~= lines + 0
  or deadline ~= '' and deadline + 0 <= now_ms() or changes % 128 == 127 then
  return {'TIDY'}
end
local had, had_price, change = whole(stored or '0', cart, sku), whole(seen[2] or '0', prices, sku), seen[3]
if change then
  return {'CHANGED', string.match(change, '%S+$'), had, lines, units, unpriced == '0' and cents}
end

---- add
-- Adds units of one product, all or none.
-- ARGV: as above, then units, cents, ms until the line leaves or '', most units of a line, most lines
local quantity = had + ARGV[7]
if quantity > ARGV[10] + 0 then
  return {'LINE_LIMIT', had}
elseif not stored then
  lines = lines + 1
  if lines > ARGV[11] + 0 then
    return {'CART_FULL'}
  end
elseif not seen[2] then
  unpriced = unpriced - 1
end
units, cents, changes = units + ARGV[7], cents + quantity * ARGV[8] - had * had_price, changes + 1
local leaves = ARGV[9] ~= '' and now_ms() + ARGV[9]
if leaves and (deadline == '' or leaves < deadline + 0) then
  deadline = string.format('%.0f', leaves)
end
require_channel(ARGV[2])
require_commands('HSET', 'PEXPIRE')
-- The list leaves out ZADD, so that comes first.
if leaves then
  redis.call('ZADD', deadlines, leaves, sku)
end
redis.call('HSET', cart, sku, quantity)
redis.call('HSET', prices, field, ARGV[8], ARGV[4], changes .. ' ' .. ARGV[7],
  '', string.format('%d %d %.0f %d %d %s', lines, units, cents, unpriced, changes, deadline))
redis.call('PEXPIRE', cart, ARGV[1])
redis.call('PEXPIRE', prices, ARGV[1])
if deadline ~= '' then
  redis.call('PEXPIRE', deadlines, ARGV[1])
end
local total = unpriced + 0 == 0 and string.format('%.0f', cents)
redis.call('PUBLISH', ARGV[2], string.format('%s,"change":%d,"quantity":%d,"lines":%d,"units":%d,"total_cents":%s}',
  ARGV[3], ARGV[7], quantity, lines, units, total or 'null'))
return {'CHANGED', ARGV[7], quantity, lines, units, total}

---- remove
-- Removes units of one product.
-- ARGV: as above, then units or '' for all of them
if not stored then
  return {'NOT_IN_CART'}
end
local quantity = ARGV[7] == '' and 0 or had - ARGV[7]
if quantity < 0 then
  return {'ONLY_IN_CART', had}
end

---- set
-- Sets the units of a line; 0 removes it.
-- ARGV: as above, then units
local quantity = ARGV[7] + 0
if not stored and quantity == 0 then
  return {'CHANGED', 0, 0, lines, units, unpriced == '0' and cents}
elseif not stored then
  return {'NOT_IN_CART'}
end

---- change
-- Gives a line that is there another quantity, or removes it if that is 0.
units, cents, changes = units + quantity - had, cents + (quantity - had) * had_price, changes + 1
if quantity == 0 then
  lines, unpriced = lines - 1, unpriced - (seen[2] and 0 or 1)
end
local sums = string.format('%d %d %.0f %d %d %s', lines, units, cents, unpriced, changes, lines + 0 > 0 and deadline or '')
require_channel(ARGV[2])
require_commands('HSET', 'PEXPIRE', 'HDEL', 'ZREM', 'ZADD')
if quantity > had then
  redis.call('HSET', cart, sku, quantity)
end
-- PEXPIRE needs no memory, and what follows it in a script is not refused for want of memory.
redis.call('PEXPIRE', cart, ARGV[1])
redis.call('PEXPIRE', prices, ARGV[1])
if deadline ~= '' then
  redis.call('PEXPIRE', deadlines, ARGV[1])
end
local total = unpriced + 0 == 0 and string.format('%.0f', cents)
redis.call('PUBLISH', ARGV[2], string.format('%s,"change":%d,"quantity":%d,"lines":%d,"units":%d,"total_cents":%s}',
  ARGV[3], quantity - had, quantity, lines, units, total or 'null'))
redis.call('HSET', prices, ARGV[4], changes .. ' ' .. (quantity - had), '', sums)
if quantity == 0 then
  -- What leaves goes last: while its slot moves, a key that is emptied must not be touched again.
  redis.call('HDEL', prices, field)
  if deadline ~= '' then
    redis.call('ZREM', deadlines, sku)
  end
  redis.call('HDEL', cart, sku)
elseif quantity < had then
  redis.call('HSET', cart, sku, quantity)
end
return {'CHANGED', quantity - had, quantity, lines, units, total}

---- view
-- Reads everything and lets the cart live on.
-- ARGV: cart TTL in ms
local cart, now = KEYS[1], now_ms()
local stored, seen, leaving =
  redis.call('HGETALL', cart), redis.call('HGETALL', KEYS[2]), redis.call('ZRANGE', KEYS[3], 0, -1, 'WITHSCORES')
for i, fields in ipairs({stored, seen, leaving}) do
  if #fields > 0 then
    redis.call('PEXPIRE', KEYS[i], ARGV[1])
  end
end
return {'LINES', stored, seen, leaving, now}

---- field
-- The field of a SKU in prices.
local function field_of(sku)
  return string.sub(sku, 1, 1) == ' ' and ' ' .. sku or sku
end

---- sums
-- What the steps for a whole cart share.
local cart, prices, deadlines = KEYS[1], KEYS[2], KEYS[3]
local counted, sums = redis.call('HLEN', cart), redis.call('HGET', prices, '')
local lines, units, cents, unpriced, changes, deadline =
  string.match(sums or '0 0 0 0 0 ', '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d*)$')
if not lines or counted ~= lines + 0 or deadline ~= '' and deadline + 0 <= now_ms() then
  return {'TIDY'}
end
lines, units, cents, unpriced, changes = lines + 0, units + 0, cents + 0, unpriced + 0, changes + 0

---- contents
return {'CONTENTS', lines, units, unpriced == 0 and cents}

---- everything
-- Reads all keys of the cart.
local cart, prices, deadlines, now = KEYS[1], KEYS[2], KEYS[3], now_ms()
local stored, seen, leaving =
  redis.call('HGETALL', cart), redis.call('HGETALL', prices), redis.call('ZRANGE', deadlines, 0, -1, 'WITHSCORES')
local price, leaves = {}, {}
for i = 1, #seen, 2 do
  price[seen[i]] = seen[i + 1]
end
for i = 1, #leaving, 2 do
  leaves[leaving[i]] = tonumber(leaving[i + 1])
end
local changes = tonumber(string.match(price[''] or '', '^%d+ %d+ %d+ %d+ (%d+) %d*$')) or 0

---- tidy
-- Takes out the lines whose deadline has passed, what belongs to no line, and all but the last 128 changes. Counts the rest.
-- ARGV: cart TTL in ms, field of a request that nobody else makes
local lines, units, cents, unpriced, deadline = 0, 0, 0, 0, math.huge
local priced, dated, gone, stale, undated = {}, {}, {}, {}, {}
for i = 1, #stored, 2 do
  local sku, quantity = stored[i], whole(stored[i + 1], cart, stored[i])
  local field = field_of(sku)
  if quantity == 0 then
    error({err = 'MALFORMED ' .. cart .. ' ' .. sku})
  elseif leaves[sku] and leaves[sku] <= now then
    gone[#gone + 1] = sku
  else
    lines, units, cents = lines + 1, units + quantity, cents + quantity * whole(price[field] or '0', prices, sku)
    unpriced = unpriced + (price[field] and 0 or 1)
    priced[field], dated[sku] = true, true
  end
end
for field, value in pairs(price) do
  if string.sub(field, 1, 2) == ' :' then
    changes = math.max(changes, tonumber(string.match(value, '^%d+')) or 0)
  end
end
for field, value in pairs(price) do
  local change = string.sub(field, 1, 2) == ' :' and (tonumber(string.match(value, '^%d+')) or 0)
  if change and change <= changes - 128 or not change and field ~= '' and not priced[field] then
    stale[#stale + 1] = field
  end
end
for sku, time in pairs(leaves) do
  if dated[sku] then
    deadline = math.min(deadline, time)
  else
    undated[#undated + 1] = sku
  end
end
-- A cart that somebody else has written may have no TTL; it gets one.
local left = redis.call('PTTL', cart)
left = left > 0 and left or ARGV[1]
require_commands('PEXPIRE', 'HSET', 'HDEL', 'ZREM')
for i, fields in ipairs({stored, seen, leaving}) do
  if #fields > 0 then
    redis.call('PEXPIRE', KEYS[i], left)
  end
end
redis.call('HSET', prices, ARGV[2], (changes + 1) .. ' 0', '', string.format('%d %d %.0f %d %d %s',
  lines, units, cents, unpriced, changes + 1, deadline < math.huge and string.format('%.0f', deadline) or ''))
if #seen == 0 then
  redis.call('PEXPIRE', prices, left)
end
for first = 1, #stale, 1000 do
  redis.call('HDEL', prices, unpack(stale, first, math.min(first + 999, #stale)))
end
if #undated > 0 then
  redis.call('ZREM', deadlines, unpack(undated, 1, math.min(1000, #undated)))
end
if #gone > 0 then
  redis.call('HDEL', cart, unpack(gone, 1, math.min(1000, #gone)))
end
return {'TIDIED'}

---- clear
-- Empties the cart, also one that cannot be read. The last changes stay, so that none of them counts again.
-- ARGV: cart TTL in ms, channel, message
local lines, units, fields = 0, 0, {}
for i = 1, #stored, 2 do
  if not leaves[stored[i]] or leaves[stored[i]] > now then
    lines, units = lines + 1, units + (string.match(stored[i + 1], '^%d+$') or 0)
  end
end
for field in pairs(price) do
  if field ~= '' and string.sub(field, 1, 2) ~= ' :' then
    fields[#fields + 1] = field
  end
end
require_channel(ARGV[2])
require_commands('UNLINK', 'PEXPIRE', 'HSET', 'HDEL')
if #stored > 0 then
  redis.call('PUBLISH', ARGV[2], string.format('%s,"change":%.0f,"quantity":0,"lines":0,"units":0,"total_cents":0}',
    ARGV[3], -units))
  redis.call('UNLINK', cart)
end
if #leaving > 0 then
  redis.call('UNLINK', deadlines)
end
if #seen > 0 then
  redis.call('PEXPIRE', prices, ARGV[1])
  redis.call('HSET', prices, '', string.format('0 0 0 0 %d ', changes))
end
for first = 1, #fields, 1000 do
  redis.call('HDEL', prices, unpack(fields, first, math.min(first + 999, #fields)))
end
return {'CLEARED', lines, units}

---- claimed
-- KEYS[4] claim      Hash: 'id', 'into' -> the cart to merge into, 'line:' and SKU -> 'units cents deadline', - for none
local claim = redis.call('HGETALL', KEYS[4])
if #claim > 0 then
  return {'CLAIMED', claim}
end

---- claim
-- First step of a merge: the lines move from the guest's cart into a claim, out of everybody's reach. A claim that is there
-- already is answered as it is, so that the next caller can finish it.
-- ARGV: cart TTL in ms, channel, message, the cart to merge into
if #stored == 0 then
  return {'NOTHING'}
end
local last, fields, lines = '', {}, {}
for field, value in pairs(price) do
  if string.sub(field, 1, 2) ~= ' :' then
    fields[#fields + 1] = field ~= '' and field or nil
  elseif string.match(value, '^%d+') == tostring(changes) then
    last = field
  end
end
for i = 1, #stored, 2 do
  local sku, quantity = stored[i], whole(stored[i + 1], cart, stored[i])
  local field = field_of(sku)
  lines['line:' .. sku] = string.format('%d %s %s', quantity, price[field] or '-',
    leaves[sku] and string.format('%.0f', leaves[sku]) or '-')
end
-- The same cart gives the same ID: if a failover forgets this step, taking it again merges nothing twice.
local id = redis.sha1hex(cart .. sums .. last)
require_channel(ARGV[2])
require_commands('HSET', 'PEXPIRE', 'HDEL', 'UNLINK')
redis.call('HSET', KEYS[4], 'id', id, 'into', ARGV[4])
for field, line in pairs(lines) do
  redis.call('HSET', KEYS[4], field, line)
end
redis.call('PEXPIRE', KEYS[4], ARGV[1])
redis.call('PEXPIRE', prices, ARGV[1])
redis.call('HSET', prices, '', string.format('0 0 0 0 %d ', changes + 1))
redis.call('PUBLISH', ARGV[2], string.format('%s,"change":%.0f,"quantity":0,"lines":0,"units":0,"total_cents":0}',
  ARGV[3], -units))
claim = redis.call('HGETALL', KEYS[4])
for _, field in ipairs(fields) do
  redis.call('HDEL', prices, field)
end
if #leaving > 0 then
  redis.call('UNLINK', deadlines)
end
redis.call('UNLINK', cart)
return {'CLAIMED', claim}

---- recorded
-- KEYS[4] record     String: what came of this step. Every later attempt gets the same answer.
local recorded = redis.call('GET', KEYS[4])
if recorded then
  return cjson.decode(recorded)
end

---- put
-- Puts lines into the cart, as many units as fit. A line that is there keeps the price seen. Of two deadlines it gets the later
-- one, and none is later than any, so that nothing leaves earlier than was promised.
-- ARGV: cart TTL in ms, channel, message, most units of a line, most lines, one more, then SKU, units, cents, deadline of each
local now, moved, left, puts, undated, change = now_ms(), {}, {}, {}, {}, 0
for i = 7, #ARGV, 4 do
  local sku, quantity, cents_seen, leaves = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  if not leaves or leaves > now then
    local field = field_of(sku)
    local stored, seen, theirs = redis.call('HGET', cart, sku), redis.call('HGET', prices, field), redis.call('ZSCORE', deadlines, sku)
    local full, had = not stored and lines >= tonumber(ARGV[5]), whole(stored or '0', cart, sku)
    local fits = full and 0 or math.max(0, math.min(quantity, ARGV[4] - had))
    if fits > 0 then
      if stored then
        undated[#undated + 1] = theirs and not leaves and sku or nil
        cents_seen, leaves = seen and whole(seen, prices, sku), theirs and leaves and math.max(theirs, leaves)
      else
        lines, unpriced = lines + 1, unpriced + (cents_seen and 0 or 1)
      end
      units, cents, change = units + fits, cents + fits * (cents_seen or 0), change + fits
      if leaves and (deadline == '' or leaves < deadline + 0) then
        deadline = string.format('%.0f', leaves)
      end
      moved[#moved + 1] = {sku, fits}
      puts[#puts + 1] = {sku, had + fits, field, cents_seen, leaves}
    end
    if fits < quantity then
      left[#left + 1] = {sku, quantity - fits, full and 'CART_FULL' or 'LINE_LIMIT'}
    end
  end
end
require_channel(ARGV[2])
require_commands('HSET', 'ZADD', 'PEXPIRE', 'SET', 'ZREM', 'UNLINK')
for _, line in ipairs(puts) do
  local sku, quantity = line[1], line[2]
  redis.call('HSET', cart, sku, quantity)
  if line[4] then
    redis.call('HSET', prices, line[3], line[4])
  end
  if line[5] then
    redis.call('ZADD', deadlines, line[5], sku)
  end
end
if change > 0 then
  redis.call('HSET', prices, '', string.format('%d %d %.0f %d %d %s', lines, units, cents, unpriced, changes, deadline))
  redis.call('PEXPIRE', cart, ARGV[1])
  redis.call('PEXPIRE', prices, ARGV[1])
  if deadline ~= '' then
    redis.call('PEXPIRE', deadlines, ARGV[1])
  end
  redis.call('PUBLISH', ARGV[2], string.format('%s,"change":%d,"quantity":0,"lines":%d,"units":%d,"total_cents":%s}',
    ARGV[3], change, lines, units, unpriced == 0 and string.format('%.0f', cents) or 'null'))
end

---- apply
-- Second step: the claimed lines enter the other cart, once.
-- ARGV[6]: ms to remember that
redis.call('SET', KEYS[4], cjson.encode({'MERGED', moved, left}), 'PX', ARGV[6])
if #undated > 0 then
  redis.call('ZREM', deadlines, unpack(undated))
end
return {'MERGED', moved, left}

---- returned
-- KEYS[4] claim. ARGV[6]: its ID
if redis.call('HGET', KEYS[4], 'id') ~= ARGV[6] then
  return {'FINISHED'}
end

---- finish
-- Last step: what did not fit returns to the guest's cart, and the claim is gone. What the guest has added meanwhile stays; a
-- line can so exceed its limit, which is better than to drop units.
redis.call('UNLINK', KEYS[4])
if #undated > 0 then
  redis.call('ZREM', deadlines, unpack(undated))
end
return {'FINISHED'}

---- take
-- Takes out what was bought, as far as it is still there, once.
-- ARGV: cart TTL in ms, channel, message, ms to remember that, then SKU and units of each line
local takes, change = {}, 0
for i = 5, #ARGV, 2 do
  local sku = ARGV[i]
  local field = field_of(sku)
  local stored, seen = redis.call('HGET', cart, sku), redis.call('HGET', prices, field)
  local had = whole(stored or '0', cart, sku)
  local taken = math.min(had, ARGV[i + 1])
  if taken > 0 then
    lines, unpriced = lines - (taken == had and 1 or 0), unpriced - ((seen or taken < had) and 0 or 1)
    units, cents, change = units - taken, cents - taken * whole(seen or '0', prices, sku), change + taken
    takes[#takes + 1] = {sku, had - taken, field}
  end
end
require_channel(ARGV[2])
require_commands('PEXPIRE', 'HSET', 'SET', 'ZADD', 'HDEL', 'ZREM')
if change > 0 then
  redis.call('PEXPIRE', cart, ARGV[1])
  redis.call('PEXPIRE', prices, ARGV[1])
  if deadline ~= '' then
    redis.call('PEXPIRE', deadlines, ARGV[1])
  end
  redis.call('HSET', prices, '', string.format('%d %d %.0f %d %d %s',
    lines, units, cents, unpriced, changes + 1, lines > 0 and deadline or ''))
  redis.call('PUBLISH', ARGV[2], string.format('%s,"change":%d,"quantity":0,"lines":%d,"units":%d,"total_cents":%s}',
    ARGV[3], -change, lines, units, unpriced == 0 and string.format('%.0f', cents) or 'null'))
end
redis.call('SET', KEYS[4], cjson.encode({'TAKEN', change}), 'PX', ARGV[4])
local gone = {}
for _, line in ipairs(takes) do
  local sku, quantity, field = line[1], line[2], line[3]
  if quantity > 0 then
    redis.call('HSET', cart, sku, quantity)
  else
    gone[#gone + 1] = sku
    redis.call('HDEL', prices, field)
  end
end
if #gone > 0 then
  if deadline ~= '' then
    redis.call('ZREM', deadlines, unpack(gone))
  end
  redis.call('HDEL', cart, unpack(gone))
end
return {'TAKEN', change}
