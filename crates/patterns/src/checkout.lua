-- An order, and the list of unfinished orders. They are in different slots, so no script has both.
--
--   order       Hash: state, owner, total_cents, 'line:SKU' with units and cents each; later reason
--   unfinished  Sorted Set: IDs of orders, by when somebody else must look after them, in ms

---- open
-- Opens an order, unless it is there. If its time is over, a recovery may have passed over its ID and would never find it.
-- KEYS: order. ARGV: ms for which an order that gets no further is kept, when the recovery looks after it, then fields and values
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
-- Moves an order from one state to another: if several want to decide, one does.
-- KEYS: order. ARGV: from, to, ms for which the order is kept from now on or '' if until it is finished, then fields and values
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
-- Notes when somebody else must look after an order. Never earlier than before, unless that was noted by a clock that was set back.
-- KEYS: unfinished. ARGV: order, ms from now, the most ms from now that are possible
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
-- Takes an order off the list. With 'overdue' only if it is due: its buyer may just have noted a later time.
-- KEYS: unfinished. ARGV: order, 'overdue' or ''
local now = now_ms()
local at = redis.call('ZSCORE', KEYS[1], ARGV[1])
require_commands('ZREM')
if at and (ARGV[2] == '' or tonumber(at) <= now) then
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return {'DONE'}

---- overdue
-- The orders that somebody else must look after. One that is noted for later than it can be has seen another clock: it is due as
-- late as it can be.
-- KEYS: unfinished. ARGV: how many, the most ms from now that are possible
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
