-- A cart in the memory of a script. open() reads it, put() writes a line, drop() takes one out, and leave() ends every script
-- that has done either; slide() does, for a script that has looked at a cart for a customer.

local HIGHEST_QUANTITY = 4294967295
local HIGHEST_CENTS = 9007199254740991

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local now = clock()

-- The refusal for a user who does not exist, or nil. A guest's cart comes without a user's key.
local function unknown_user(key)
  return key and (other_type(key, 'hash') or redis.call('EXISTS', key) == 0 and {'UNKNOWN_USER'}) or nil
end

local function can_hold(sku)
  return #sku <= 64 and string.match(sku, '^[%w._-]+$')
end

-- Opens the cart whose three keys begin at KEYS[first]: quantities, prices, deadlines. Changes nothing.
-- Gives the cart, or nil and the refusal to answer with.
local function open(first, channel)
  -- Since Redis 7.0 a new ACL user may use no channel. PUBLISH comes last, and its refusal would leave a change behind.
  if channel and not redis.acl_check_cmd('PUBLISH', channel, '') then
    return nil, redis.error_reply('NOPERM this user has no permission to publish on the channel ' .. channel)
  end
  local cart = {
    quantities = KEYS[first], prices = KEYS[first + 1], deadlines = KEYS[first + 2],
    channel = channel, lines = {},
    -- The SKUs that each of the keys has.
    here = {quantities = {}, prices = {}, deadlines = {}},
  }
  local wrong = other_type(cart.quantities, quantities.type) or other_type(cart.prices, 'hash')
    or other_type(cart.deadlines, 'zset')
  if wrong then
    return nil, wrong
  end

  local stored, skus = quantities.all(cart.quantities), {}
  for i = 1, #stored, 2 do
    local sku, quantity = stored[i], whole(stored[i + 1], HIGHEST_QUANTITY)
    if not can_hold(sku) or not quantity or quantity == 0 then
      return nil, {'MALFORMED', cart.quantities, sku}
    end
    cart.lines[sku] = {quantity = quantity}
    cart.here.quantities[sku] = true
    skus[#skus + 1] = sku
  end
  for sku, deadline in pairs(expiry.of(cart, skus)) do
    if deadline <= now then
      cart.lines[sku] = nil
    elseif cart.lines[sku] then
      cart.lines[sku].deadline = deadline
    end
  end
  local prices = redis.call('HGETALL', cart.prices)
  for i = 1, #prices, 2 do
    local line, seen = cart.lines[prices[i]], whole(prices[i + 1], HIGHEST_CENTS)
    cart.here.prices[prices[i]] = true
    if line and not seen then
      return nil, {'MALFORMED', cart.prices, prices[i]}
    elseif line then
      line.seen = seen
    end
  end
  return cart
end

local function drop(cart, sku)
  cart.lines[sku] = nil
end

-- line: quantity, seen (the price in cents when it was added, or nil), deadline (or nil)
local function put(cart, sku, line)
  cart.lines[sku] = line
  quantities.put(cart.quantities, sku, integer(line.quantity))
  cart.here.quantities[sku] = true
  if line.seen then
    redis.call('HSET', cart.prices, sku, integer(line.seen))
    cart.here.prices[sku] = true
  end
  expiry.set(cart, sku, line.deadline)
end

-- Lines, units, and the total in cents at the prices seen when the lines were added.
local function count(cart)
  local lines, units, total = 0, 0, 0
  for _, line in pairs(cart.lines) do
    lines, units, total = lines + 1, units + line.quantity, total + line.quantity * (line.seen or 0)
  end
  return lines, units, total
end

-- Removes from one of the keys what it has and is not to stay.
local function remove(command, key, here, stays)
  local leaving = {}
  for sku in pairs(here) do
    if not stays(sku) then
      leaving[#leaving + 1] = sku
    end
  end
  -- Lua's unpack gives up at some 8000 values.
  for first = 1, #leaving, 1000 do
    redis.call(command, key, unpack(leaving, first, math.min(first + 999, #leaving)))
  end
end

-- Takes out of the keys what was dropped, what has expired, and deadlines that no longer apply. It comes last, and asks for
-- nothing that is not there: a key without lines is gone, and while its slot moves a script that asks for a key which is gone
-- fails in its middle.
local function leave(cart)
  local function is_line(sku)
    return cart.lines[sku]
  end
  remove(quantities.remove, cart.quantities, cart.here.quantities, is_line)
  remove('HDEL', cart.prices, cart.here.prices, is_line)
  remove('ZREM', cart.deadlines, cart.here.deadlines, function(sku)
    return cart.lines[sku] and cart.lines[sku].deadline
  end)
end

-- Lets the cart live for ttl milliseconds from now, without what has left it.
local function slide(cart, ttl)
  for _, key in ipairs({cart.quantities, cart.prices, cart.deadlines}) do
    redis.call('PEXPIRE', key, ttl)
  end
  leave(cart)
end

-- Removes the cart whose three keys begin at KEYS[first]; how many of them there were. One by one: where a slot arrives, a
-- command with several keys fails if one of them is not there.
local function unlink(first)
  local removed = 0
  for i = first, first + 2 do
    removed = removed + redis.call('UNLINK', KEYS[i])
  end
  return removed
end

-- Publishes what has happened to the cart. sku is nil where a change concerns the whole of it.
local function publish(cart, event, owner, sku, change)
  local lines, units, total = count(cart)
  local line = sku and cart.lines[sku]
  redis.call('PUBLISH', cart.channel, string.format(
    '{"event":"%s","owner":%s,"sku":%s,"quantity":%d,"change":%d,"lines":%d,"units":%d,"total_cents":%s}',
    event, cjson.encode(owner), sku and cjson.encode(sku) or 'null', line and line.quantity or 0, change, lines, units,
    integer(total)))
  return lines, units, total
end
