-- A cart: units of products, the prices seen, and deadlines. No change of a line reads the others.
--
--   cart       Hash: SKU -> units. As a Sorted Set, it is scored by units: cart.rs replaces seven phrases.
--   prices     Hash: SKU -> price seen in cents. The empty field, which is no SKU, holds the sums of the cart:
--              'lines units cents unpriced deadline change', where deadline is the first deadline, or empty, and change is
--              the ID of the last change
--   deadlines  Sorted Set: SKU, scored by the millisecond at which the line expires
--   request    String: the units that one change moved. It lives while the change may be sent again.
--
-- A script trusts the sums while they match the number of lines and no deadline has passed. Otherwise it changes nothing and
-- replies TIDY. The client runs `tidy` and tries again.

---- line
-- Every change of a line starts here.
local cart, prices, deadlines, sku = KEYS[1], KEYS[2], KEYS[3], ARGV[6]
local stored, seen = redis.call('HGET', cart, sku), redis.call('HMGET', prices, '', sku)
local lines, units, cents, unpriced, deadline =
  string.match(seen[1] or '0 0 0 0  ', '^(%d+) (%d+) (%d+) (%d+) (%d*) ')
-- If the line is there, so is the cart that the sums are of. Otherwise the lines are counted.
if not lines or stored and not seen[1] or not stored and redis.call('HLEN', cart) ~= lines + 0
  or not seen[1] and redis.call('EXISTS', deadlines) == 1 or deadline ~= '' and deadline + 0 <= now_ms() then
  return {'TIDY'}
end
if deadline ~= '' then
  -- Of another type, it ends the script here, before anything is written.
  redis.call('ZCARD', deadlines)
end
local had, had_price = whole(stored or '0', cart, sku), whole(seen[2] or '0', prices, sku)

---- add
-- Adds units of one product, all or none.
-- KEYS: cart, prices, deadlines, request
-- ARGV: cart TTL (ms), channel, message, change ID, request TTL (ms), SKU, units, price (cents), line TTL or '' (ms),
--   max units per line, max lines
-- Replies: CHANGED, units moved, units of the line, lines, units, total (cents) or nil; or LINE_LIMIT, units of the line;
--   or CART_FULL, units of the line; or TIDY
local quantity, before, allowed = had + ARGV[7], nil, redis.acl_check_cmd
local leaves = ARGV[9] ~= '' and redis.call('ZCARD', deadlines) and now_ms() + ARGV[9]
if quantity > ARGV[10] + 0 or not stored and lines + 0 >= ARGV[11] + 0 then
  before = redis.call('GET', KEYS[4])
  if not before then
    return {quantity > ARGV[10] + 0 and 'LINE_LIMIT' or 'CART_FULL', had}
  end
else
  -- What require_commands does, a little faster.
  if not (allowed('PUBLISH', ARGV[2], '') and allowed('PEXPIRE', cart, 1) and allowed('HSET', prices, '', '')
    and (not leaves or allowed('ZADD', deadlines, 1, ''))) then
    error({err = 'NOPERM this pattern needs a user who may run HSET, ZADD, and PEXPIRE, and publish on ' .. ARGV[2]
      .. '; nothing was changed'})
  end
  before = redis.call('SET', KEYS[4], ARGV[7], 'NX', 'GET', 'PX', ARGV[5])
end
-- A change that was counted before is answered as it was, with the cart as it is now.
if before then
  return {'CHANGED', before, had, lines, units, unpriced == '0' and cents}
end
units, cents = units + ARGV[7], cents + quantity * ARGV[8] - had * had_price
if not stored then
  lines = lines + 1
elseif not seen[2] then
  unpriced = unpriced - 1
end
if leaves then
  deadline = string.format('%.0f', math.min(leaves, tonumber(deadline) or leaves))
  redis.call('ZADD', deadlines, leaves, sku)
end
redis.call('HSET', cart, sku, quantity)
redis.call('HSET', prices, sku, ARGV[8],
  '', lines .. ' ' .. units .. ' ' .. cents .. ' ' .. unpriced .. ' ' .. deadline .. ' ' .. ARGV[4])
redis.call('PEXPIRE', cart, ARGV[1])
redis.call('PEXPIRE', prices, ARGV[1])
if deadline ~= '' then
  redis.call('PEXPIRE', deadlines, ARGV[1])
end
local total = unpriced + 0 == 0 and cents
redis.call('PUBLISH', ARGV[2], ARGV[3] .. ',"change":' .. ARGV[7] .. ',"quantity":' .. quantity .. ',"lines":' .. lines
  .. ',"units":' .. units .. ',"total_cents":' .. (total or 'null') .. '}')
return {'CHANGED', ARGV[7], quantity, lines, units, total}

---- remove
-- Removes units of one product.
-- KEYS: cart, prices, deadlines, request
-- ARGV: cart TTL (ms), channel, message, change ID, request TTL (ms), SKU, units or '' for all
-- Replies: CHANGED, units moved, units of the line, lines, units, total (cents) or nil; or NOT_IN_CART, units of the line;
--   or ONLY_IN_CART, units of the line; or TIDY
local quantity, refusal = ARGV[7] == '' and 0 or had - ARGV[7], nil
if not stored then
  refusal = 'NOT_IN_CART'
elseif quantity < 0 then
  refusal = 'ONLY_IN_CART'
end

---- set
-- Sets the units of a line; 0 removes it.
-- KEYS: cart, prices, deadlines, request
-- ARGV: cart TTL (ms), channel, message, change ID, request TTL (ms), SKU, units
-- Replies: CHANGED, units moved, units of the line, lines, units, total (cents) or nil; or NOT_IN_CART, units of the line;
--   or TIDY
local quantity, refusal = ARGV[7] + 0, nil
if not stored then
  refusal = quantity == 0 and 'CHANGED' or 'NOT_IN_CART'
end

---- change
-- Writes the new quantity of a line, or removes the line if it is 0.
local before
if refusal then
  before = redis.call('GET', KEYS[4])
  if not before and refusal ~= 'CHANGED' then
    return {refusal, had}
  end
  before = before or 0
else
  require_channel(ARGV[2])
  require_commands('PEXPIRE', 'SET', 'HSET', 'HDEL', 'ZREM', 'UNLINK')
  if quantity <= had then
    -- It needs no memory, and what follows it in a script is not refused for want of memory. So units can always be removed.
    redis.call('PEXPIRE', cart, ARGV[1])
  end
  before = redis.call('SET', KEYS[4], quantity - had, 'NX', 'GET', 'PX', ARGV[5])
end
if before then
  return {'CHANGED', before, had, lines, units, unpriced == '0' and cents}
end
units, cents = units + quantity - had, string.format('%.0f', cents + (quantity - had) * had_price)
if quantity == 0 then
  lines, unpriced = lines - 1, string.format('%d', unpriced - (seen[2] and 0 or 1))
end
local total = unpriced == '0' and cents
redis.call('PUBLISH', ARGV[2], string.format('%s,"change":%d,"quantity":%d,"lines":%s,"units":%d,"total_cents":%s}',
  ARGV[3], quantity - had, quantity, lines, units, total or 'null'))
-- What leaves goes last: while its slot moves, a key that is emptied must not be touched again.
if lines == 0 then
  for i = 1, deadline ~= '' and 3 or 2 do
    redis.call('UNLINK', KEYS[i])
  end
  return {'CHANGED', -had, 0, 0, 0, 0}
end
redis.call('HSET', prices, '', lines .. ' ' .. units .. ' ' .. cents .. ' ' .. unpriced .. ' ' .. deadline .. ' ' .. ARGV[4])
redis.call('PEXPIRE', prices, ARGV[1])
if deadline ~= '' then
  redis.call('PEXPIRE', deadlines, ARGV[1])
end
if quantity > 0 then
  redis.call('HSET', cart, sku, quantity)
  if quantity > had then
    redis.call('PEXPIRE', cart, ARGV[1])
  end
else
  redis.call('HDEL', prices, sku)
  if deadline ~= '' then
    redis.call('ZREM', deadlines, sku)
  end
  redis.call('HDEL', cart, sku)
end
return {'CHANGED', quantity - had, quantity, lines, units, total}

---- everything
-- Reads all keys of the cart.
local cart, prices, deadlines, now = KEYS[1], KEYS[2], KEYS[3], now_ms()
local stored, seen, leaving =
  redis.call('HGETALL', cart), redis.call('HGETALL', prices), redis.call('ZRANGE', deadlines, 0, -1, 'WITHSCORES')
local found = {#stored > 0, #seen > 0, #leaving > 0}

---- view
-- Replies with the cart and renews its TTL.
-- KEYS: cart, prices, deadlines
-- ARGV: cart TTL (ms)
-- Replies: LINES, SKUs and units (list), SKUs and prices (list), SKUs and deadlines (list), time now (ms)
for i = 1, 3 do
  if found[i] then
    redis.call('PEXPIRE', KEYS[i], ARGV[1])
  end
end
return {'LINES', stored, seen, leaving, now}

---- tables
-- Price and deadline of each SKU.
local price, leaves = {}, {}
for i = 1, #seen, 2 do
  price[seen[i]] = seen[i + 1]
end
for i = 1, #leaving, 2 do
  leaves[leaving[i]] = tonumber(leaving[i + 1])
end

---- tidy
-- Removes lines whose deadline has passed and entries without a line, and counts the rest.
-- KEYS: cart, prices, deadlines
-- ARGV: cart TTL (ms), change ID
-- Replies: TIDIED
local lines, units, cents, unpriced, deadline, kept, gone = 0, 0, 0, 0, math.huge, {}, {}
for i = 1, #stored, 2 do
  local sku, quantity = stored[i], whole(stored[i + 1], cart, stored[i])
  if quantity == 0 then
    error({err = 'MALFORMED ' .. cart .. ' ' .. sku})
  elseif leaves[sku] and leaves[sku] <= now then
    gone[#gone + 1] = sku
  else
    kept[sku], lines, units, cents = true, lines + 1, units + quantity, cents + quantity * whole(price[sku] or '0', prices, sku)
    unpriced, deadline = unpriced + (price[sku] and 0 or 1), math.min(deadline, leaves[sku] or math.huge)
  end
end
require_commands('UNLINK', 'PEXPIRE', 'HSET', 'HDEL', 'ZREM')
if lines == 0 then
  for i = 1, 3 do
    if found[i] then
      redis.call('UNLINK', KEYS[i])
    end
  end
  return {'TIDIED'}
end
-- A cart that another program has written may have no TTL. It gets one.
local left = redis.call('PTTL', cart)
left = left > 0 and left or ARGV[1]
for i = 1, 3 do
  if found[i] then
    redis.call('PEXPIRE', KEYS[i], left)
  end
end
redis.call('HSET', prices, '', string.format('%d %d %.0f %d %s %s', lines, units, cents, unpriced,
  deadline < math.huge and string.format('%.0f', deadline) or '', ARGV[2]))
if not found[2] then
  redis.call('PEXPIRE', prices, left)
end
for sku in pairs(price) do
  if sku ~= '' and not kept[sku] then
    redis.call('HDEL', prices, sku)
  end
end
local undated = {}
for sku in pairs(leaves) do
  undated[#undated + 1] = not kept[sku] and #undated < 1000 and sku or nil
end
if #undated > 0 then
  redis.call('ZREM', deadlines, unpack(undated))
end
for _, sku in ipairs(gone) do
  redis.call('HDEL', cart, sku)
end
return {'TIDIED'}

---- clear
-- Empties the cart, even one that cannot be read.
-- KEYS: cart, prices, deadlines
-- ARGV: cart TTL (ms), channel, message
-- Replies: CLEARED, lines, units
local lines, units = 0, 0
for i = 1, #stored, 2 do
  if not leaves[stored[i]] or leaves[stored[i]] > now then
    lines, units = lines + 1, units + (string.match(stored[i + 1], '^%d+$') or 0)
  end
end
require_channel(ARGV[2])
require_commands('UNLINK')
if found[1] then
  redis.call('PUBLISH', ARGV[2], string.format('%s,"change":%.0f,"quantity":0,"lines":0,"units":0,"total_cents":0}',
    ARGV[3], -units))
end
for i = 1, 3 do
  if found[i] then
    redis.call('UNLINK', KEYS[i])
  end
end
return {'CLEARED', lines, units}

---- sums
-- Reads the sums of the cart.
local cart, prices, deadlines = KEYS[1], KEYS[2], KEYS[3]
local counted, sums = redis.call('HLEN', cart), redis.call('HGET', prices, '')
local lines, units, cents, unpriced, deadline =
  string.match(sums or '0 0 0 0  ', '^(%d+) (%d+) (%d+) (%d+) (%d*) ')
if not lines or counted ~= lines + 0 or not sums and redis.call('EXISTS', deadlines) == 1
  or deadline ~= '' and deadline + 0 <= now_ms() then
  return {'TIDY'}
end
if deadline ~= '' then
  redis.call('ZCARD', deadlines)
end
lines, units, cents, unpriced = lines + 0, units + 0, cents + 0, unpriced + 0

---- contents
-- Replies with the sums of the cart.
-- KEYS: cart, prices, deadlines
-- Replies: CONTENTS, lines, units, total (cents) or nil; or TIDY
return {'CONTENTS', lines, units, unpriced == 0 and cents}

---- claimed
-- A claim is a Hash: 'id', 'into' -> the cart to merge into, 'line:' and SKU -> 'units cents deadline', - for none.
local claim = redis.call('HGETALL', KEYS[4])
if #claim > 0 then
  return {'FOUND', claim}
end

---- claim
-- First step of a merge: moves the lines from the guest's cart into a claim, which only a merge reads. If there is a claim
-- already, replies with it, so that the caller can finish it.
-- KEYS: cart, prices, deadlines, claim
-- ARGV: cart TTL (ms), channel, message, cart to merge into
-- Replies: CLAIMED, claim (list); or FOUND, claim (list); or NOTHING; or TIDY
if not found[1] then
  return {'NOTHING'}
end
-- The last change makes it unique. If a failover forgets this step, taking it again gives the same ID and merges nothing twice.
claim = {'id', redis.sha1hex(cart .. sums), 'into', ARGV[4]}
for i = 1, #stored, 2 do
  local sku, quantity = stored[i], whole(stored[i + 1], cart, stored[i])
  claim[#claim + 1] = 'line:' .. sku
  claim[#claim + 1] = string.format('%d %s %s', quantity, price[sku] or '-',
    leaves[sku] and string.format('%.0f', leaves[sku]) or '-')
end
require_channel(ARGV[2])
require_commands('HSET', 'PEXPIRE', 'UNLINK')
redis.call('HSET', KEYS[4], unpack(claim))
redis.call('PEXPIRE', KEYS[4], ARGV[1])
redis.call('PUBLISH', ARGV[2], string.format('%s,"change":%d,"quantity":0,"lines":0,"units":0,"total_cents":0}',
  ARGV[3], -units))
for i = 1, 3 do
  if found[i] then
    redis.call('UNLINK', KEYS[i])
  end
end
return {'CLAIMED', claim}

---- recorded
-- The record is a String with the reply to this step. Every later attempt gets the same reply.
local recorded = redis.call('GET', KEYS[4])
if recorded then
  return cjson.decode(recorded)
end

---- returned
-- If the claim is gone, another client has finished the merge.
if redis.call('HGET', KEYS[4], 'id') ~= ARGV[4] then
  return {'FINISHED'}
end

---- put
-- Puts lines into the cart, as many units as fit. A line that exists keeps the price seen. Of two deadlines it gets the later
-- one, and no deadline counts as the latest, so no line expires earlier than promised.
local now, moved, left, puts, undated, change = now_ms(), {}, {}, {}, {}, 0
for i = 8, #ARGV, 4 do
  local sku, quantity, cents_seen, leaves = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  if not leaves or leaves > now then
    local stored, seen = redis.call('HGET', cart, sku), redis.call('HGET', prices, sku)
    local theirs, had = redis.call('ZSCORE', deadlines, sku), whole(stored or '0', cart, sku)
    local full = not stored and lines >= tonumber(ARGV[6])
    local fits = full and 0 or math.max(0, math.min(quantity, ARGV[5] - had))
    if fits > 0 then
      if stored then
        undated[#undated + 1] = theirs and not leaves and sku or nil
        cents_seen, leaves = seen and whole(seen, prices, sku), theirs and leaves and math.max(theirs, leaves)
      else
        lines, unpriced = lines + 1, unpriced + (cents_seen and 0 or 1)
      end
      units, cents, change = units + fits, cents + fits * (cents_seen or 0), change + fits
      deadline = leaves and string.format('%.0f', math.min(leaves, tonumber(deadline) or leaves)) or deadline
      moved[#moved + 1] = {sku, fits}
      puts[#puts + 1] = {sku, had + fits, cents_seen, leaves}
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
  if line[3] then
    redis.call('HSET', prices, sku, line[3])
  end
  if line[4] then
    redis.call('ZADD', deadlines, line[4], sku)
  end
end
if change > 0 then
  redis.call('HSET', prices, '', string.format('%d %d %.0f %d %s %s', lines, units, cents, unpriced, deadline, ARGV[4]))
  redis.call('PEXPIRE', cart, ARGV[1])
  redis.call('PEXPIRE', prices, ARGV[1])
  if deadline ~= '' then
    redis.call('PEXPIRE', deadlines, ARGV[1])
  end
  redis.call('PUBLISH', ARGV[2], string.format('%s,"change":%d,"quantity":0,"lines":%d,"units":%d,"total_cents":%s}',
    ARGV[3], change, lines, units, unpriced == 0 and string.format('%.0f', cents) or 'null'))
end

---- apply
-- Second step of a merge: adds the claimed lines to the other cart, once.
-- KEYS: cart, prices, deadlines, record
-- ARGV: cart TTL (ms), channel, message, claim ID, max units per line, max lines, record TTL (ms), then for each line: SKU,
--   units, price (cents) or '-', deadline (ms) or '-'
-- Replies: MERGED, SKUs and units moved (list), SKUs and units and reasons left (list); or TIDY
redis.call('SET', KEYS[4], cjson.encode({'MERGED', moved, left}), 'PX', ARGV[7])
if #undated > 0 then
  redis.call('ZREM', deadlines, unpack(undated))
end
return {'MERGED', moved, left}

---- finish
-- Last step of a merge: returns what did not fit to the guest's cart, and deletes the claim. What the guest has added meanwhile
-- stays. So a line can exceed its limit, which is better than dropping units.
-- KEYS: cart, prices, deadlines, claim
-- ARGV: cart TTL (ms), channel, message, claim ID, max units per line, max lines, record TTL (ms), then for each line: SKU,
--   units, price (cents) or '-', deadline (ms) or '-'
-- Replies: FINISHED; or TIDY
if #undated > 0 then
  redis.call('ZREM', deadlines, unpack(undated))
end
redis.call('UNLINK', KEYS[4])
return {'FINISHED'}

---- take
-- Removes what was bought, as far as it is still in the cart, once.
-- KEYS: cart, prices, deadlines, record
-- ARGV: cart TTL (ms), channel, message, order ID, record TTL (ms), then for each line: SKU, units
-- Replies: TAKEN, units; or TIDY
local takes, change = {}, 0
for i = 6, #ARGV, 2 do
  local sku = ARGV[i]
  local stored, seen = redis.call('HGET', cart, sku), redis.call('HGET', prices, sku)
  local had = whole(stored or '0', cart, sku)
  local taken = math.min(had, ARGV[i + 1])
  if taken > 0 then
    if taken == had then
      lines, unpriced = lines - 1, unpriced - (seen and 0 or 1)
    end
    units, cents, change = units - taken, cents - taken * whole(seen or '0', prices, sku), change + taken
    takes[#takes + 1] = {sku, had - taken}
  end
end
require_channel(ARGV[2])
require_commands('PEXPIRE', 'SET', 'HSET', 'HDEL', 'ZREM', 'UNLINK')
if change > 0 then
  redis.call('PEXPIRE', cart, ARGV[1])
  redis.call('PUBLISH', ARGV[2], string.format('%s,"change":%d,"quantity":0,"lines":%d,"units":%d,"total_cents":%s}',
    ARGV[3], -change, lines, units, unpriced == 0 and string.format('%.0f', cents) or 'null'))
end
redis.call('SET', KEYS[4], cjson.encode({'TAKEN', change}), 'PX', ARGV[5])
if change == 0 then
  return {'TAKEN', change}
elseif lines == 0 then
  for i = 1, deadline ~= '' and 3 or 2 do
    redis.call('UNLINK', KEYS[i])
  end
  return {'TAKEN', change}
end
redis.call('HSET', prices, '', string.format('%d %d %.0f %d %s %s', lines, units, cents, unpriced, deadline, ARGV[4]))
redis.call('PEXPIRE', prices, ARGV[1])
if deadline ~= '' then
  redis.call('PEXPIRE', deadlines, ARGV[1])
end
local gone = {}
for _, line in ipairs(takes) do
  local sku, quantity = line[1], line[2]
  if quantity > 0 then
    redis.call('HSET', cart, sku, quantity)
  else
    gone[#gone + 1] = sku
    redis.call('HDEL', prices, sku)
    redis.call('HDEL', cart, sku)
  end
end
if #gone > 0 and deadline ~= '' then
  redis.call('ZREM', deadlines, unpack(gone))
end
return {'TAKEN', change}
