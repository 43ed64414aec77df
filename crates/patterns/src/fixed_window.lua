-- Counts requests in windows. A window begins with a request and ends when its key expires. Each limit has a String: the count.

---- decide
-- Admits or refuses a request under all its limits at once.
-- KEYS: for each limit: count
-- ARGV: cost, take or peek, then for each limit: quota, window (ms)
-- Replies: ADMITTED or REFUSED, then for each limit: count, time left in the window or 0 if none has begun (ms)
local cost, reply = tonumber(ARGV[1]), {'ADMITTED'}
for i = 1, #KEYS do
  local key = KEYS[i]
  local count, left = 0, 0
  local stored = redis.call('GET', key)
  if stored then
    left = redis.call('PTTL', key)
    if left ~= 0 then
      count = whole(stored, key, 'is no count')
    end
  end
  if count + cost > tonumber(ARGV[2 * i + 1]) then
    reply[1] = 'REFUSED'
  end
  reply[2 * i], reply[2 * i + 1] = count, left
end
if ARGV[2] == 'peek' then
  return reply
end

-- What require_commands does, only where there is more than one write: making that function costs every call.
if #KEYS > 1 and not (redis.acl_check_cmd('SET', KEYS[1], 0) and redis.acl_check_cmd('INCRBY', KEYS[1], 0)) then
  error({err = 'NOPERM this pattern needs a user who may run SET and INCRBY; nothing was changed'})
end
local admitted = reply[1] == 'ADMITTED'
for i = 1, #KEYS do
  local count, left, window = reply[2 * i], reply[2 * i + 1], tonumber(ARGV[2 * i + 2])
  if admitted then
    count = count + cost
    reply[2 * i] = count
  end
  if left > 0 and left <= window then
    if admitted then
      redis.call('INCRBY', KEYS[i], ARGV[1])
    end
  elseif admitted or left ~= 0 then
    -- The window begins. Or it has no end, because another program wrote the key without a TTL. Or it ends too late, because
    -- the clock was set back. Then it starts over and keeps its count, even if the request is refused.
    reply[2 * i + 1] = window
    redis.call('SET', KEYS[i], count, 'PX', window)
  end
end
return reply

---- refund
-- Gives back what a request has taken, once. A window with more time left than the request's window can have is another window.
-- KEYS: refund, then for each limit: count
-- ARGV: refund TTL (ms), then for each limit: amount, max time left in the window (ms), unused
-- Replies: REFUNDED; or ALREADY
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {'ALREADY'}
end
local counts = {}
for i = 2, #KEYS do
  local stored = redis.call('GET', KEYS[i])
  if stored and redis.call('PTTL', KEYS[i]) <= tonumber(ARGV[3 * i - 3]) then
    counts[i] = math.max(0, whole(stored, KEYS[i], 'is no count') - ARGV[3 * i - 4])
  end
end
redis.call('SET', KEYS[1], '', 'PX', ARGV[1])
for i = 2, #KEYS do
  if counts[i] then
    redis.call('SET', KEYS[i], counts[i], 'KEEPTTL')
  end
end
return {'REFUNDED'}
