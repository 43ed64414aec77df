-- Counts one event on the day it happened, unless it was counted before.
--
-- The ids counted are there as long as the day is open: from its first event for so many milliseconds, or until somebody
-- closes it. So a day that has metrics and no ids is closed.
--
-- KEYS: metrics, ids counted, visitors, products by revenue (only if there are products)
-- ARGV: id, visitor or '', ms a day is open, ms it is kept, most ids, how many metrics,
--       metric and amount of each, then SKU and cents of each product
local metrics, events, visitors, products = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, visitor, keep = ARGV[1], ARGV[2], ARGV[4]
local first_metric, last_metric = 7, 6 + 2 * tonumber(ARGV[6])
local first_product = last_metric + 1

local known = redis.call('SCARD', events)
if known == 0 and redis.call('HLEN', metrics) > 0 then
  return {'TOO_LATE'}
end
-- A page view learns from SADD below whether it was counted; what can be refused asks first.
local full = known >= tonumber(ARGV[5])
if (full or first_product < #ARGV) and redis.call('SISMEMBER', events, id) == 1 then
  return {'DUPLICATE'}
elseif full then
  return {'FULL'}
end
for i = first_product, #ARGV, 2 do
  -- A score is a double: exact below 2^53.
  if (tonumber(redis.call('ZSCORE', products, ARGV[i])) or 0) + tonumber(ARGV[i + 1]) >= 9007199254740992 then
    return {'OVERFLOW', ARGV[i]}
  end
end
if redis.call('SADD', events, id) == 0 then
  return {'DUPLICATE'}
end

-- What could still fail is tried, and taken back if it does. Amounts stay texts: as doubles they would lose digits.
local function take_back(last)
  for i = first_metric, last, 2 do
    local amount = ARGV[i + 1]
    local opposite = string.sub(amount, 1, 1) == '-' and string.sub(amount, 2) or '-' .. amount
    if redis.call('HINCRBY', metrics, ARGV[i], opposite) == 0 then
      redis.call('HDEL', metrics, ARGV[i])
    end
  end
  redis.call('SREM', events, id)
end
for i = first_metric, last_metric, 2 do
  local reply = redis.pcall('HINCRBY', metrics, ARGV[i], ARGV[i + 1])
  if type(reply) == 'table' and reply.err then
    take_back(i - 2)
    if string.find(reply.err, 'overflow', 1, true) then
      return {'OVERFLOW', ARGV[i]}
    elseif string.find(reply.err, 'not an integer', 1, true) then
      return {'MALFORMED', metrics, ARGV[i]}
    end
    return reply
  end
end
if visitor ~= '' then
  local reply = redis.pcall('PFADD', visitors, visitor)
  if type(reply) == 'table' then
    take_back(last_metric - 1)
    return reply
  elseif reply == 1 then
    redis.call('PEXPIRE', visitors, keep, 'NX')
  end
end
if known == 0 then
  redis.call('PEXPIRE', events, ARGV[3])
  redis.call('PEXPIRE', metrics, keep)
end
if first_product < #ARGV then
  for i = first_product, #ARGV, 2 do
    redis.call('ZINCRBY', products, ARGV[i + 1], ARGV[i])
  end
  redis.call('PEXPIRE', products, keep, 'NX')
end
return {'COUNTED'}
