-- An order, and the list of unfinished orders. They are in different slots, so no script uses both.
--
--   order       Hash: state, owner, total_cents, 'line:SKU' with units and cents each; later reason
--   unfinished  Sorted Set: order IDs, scored by the millisecond from which `recover` takes over

---- open
-- Opens an order, unless it exists. If its deadline has passed, a recovery may have skipped its ID and would never find it.
-- KEYS: order
-- ARGV: order TTL (ms), deadline (ms), then for each field: field, value
-- Replies: ORDER, fields and values (list); or LATE
local now, stored = now_ms(), redis.call('HGETALL', KEYS[1])
if #stored > 0 then
  return {'ORDER', stored}
elseif now >= tonumber(ARGV[2]) then
  return {'LATE'}
end
require_commands('HSET', 'PEXPIRE')
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {'ORDER', redis.call('HGETALL', KEYS[1])}

---- move
-- Moves an order from one state to the next. If several clients try, one succeeds, and all get the order as it is then.
-- KEYS: order
-- ARGV: state before, state after, order TTL or '' for none (ms), then for each field: field, value
-- Replies: ORDER, fields and values (list); or UNKNOWN
local state = redis.call('HGET', KEYS[1], 'state')
if not state then
  return {'UNKNOWN'}
elseif state == ARGV[1] then
  require_commands('HSET', 'PERSIST', 'PEXPIRE')
  redis.call('HSET', KEYS[1], 'state', ARGV[2], unpack(ARGV, 4))
  if ARGV[3] == '' then
    redis.call('PERSIST', KEYS[1])
  else
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
  end
end
return {'ORDER', redis.call('HGETALL', KEYS[1])}

---- schedule
-- Sets when `recover` takes over an order: never earlier than before, unless that time is too far ahead, because the clock was
-- set back.
-- KEYS: unfinished
-- ARGV: order ID, time from now (ms), max time from now (ms)
-- Replies: SCHEDULED, deadline (ms)
local now = now_ms()
local before = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1])) or 0
local at = now + ARGV[2]
if before > at and before <= now + ARGV[3] then
  at = before
end
require_commands('ZADD')
redis.call('ZADD', KEYS[1], at, ARGV[1])
return {'SCHEDULED', at}

---- unschedule
-- Takes an order off the list. With 'overdue', only if it is due: its buyer may just have set a later time.
-- KEYS: unfinished
-- ARGV: order ID, 'overdue' or ''
-- Replies: DONE
local now = now_ms()
local at = redis.call('ZSCORE', KEYS[1], ARGV[1])
require_commands('ZREM')
if at and (ARGV[2] == '' or tonumber(at) <= now) then
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return {'DONE'}

---- overdue
-- Lists the orders that `recover` must take over. If a deadline is too far ahead, the clock was set back: the deadline becomes
-- the latest possible one.
-- KEYS: unfinished
-- ARGV: max orders, max time from now (ms)
-- Replies: ORDERS, order IDs (list)
local now = now_ms()
local limit = now + ARGV[2]
local due = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[1])
local far = redis.call('ZRANGE', KEYS[1], limit + 1, '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[1])
if #far > 0 then
  require_commands('ZADD')
  for _, order in ipairs(far) do
    redis.call('ZADD', KEYS[1], limit, order)
  end
end
return {'ORDERS', due}
