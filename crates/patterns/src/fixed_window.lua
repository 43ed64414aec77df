-- Counts requests in windows. A window begins with a request and ends when its key expires.
--
-- KEYS: for each limit, a String with the count

---- decide
-- ARGV: cost, 'take' or 'peek', then for each limit its quota and its window in ms
-- Replies ADMITTED or REFUSED, then for each limit the count, and the ms that are left of the window (0: none has begun).
local cost, reply, healed = tonumber(ARGV[1]), {'ADMITTED'}, {}
for i = 1, #KEYS do
  local quota, window = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
  local count, left = 0, 0
  local stored = redis.call('GET', KEYS[i])
  if stored then
    count, left = whole(stored, KEYS[i], 'is no count'), redis.call('PTTL', KEYS[i])
    if left == 0 then
      count = 0
    elseif left < 0 or left > window then
      -- Somebody made the key without a TTL, or the clock was set back. Either would refuse for far too long.
      left, healed[i] = window, true
    end
  end
  if count + cost > quota then
    reply[1] = 'REFUSED'
  end
  reply[2 * i], reply[2 * i + 1] = count, left
end

-- SET is the only command that writes, so a user who may not run it leaves no half of a decision.
if ARGV[2] == 'take' then
  local admitted = reply[1] == 'ADMITTED'
  for i = 1, #KEYS do
    if admitted then
      local count, begins = reply[2 * i] + cost, healed[i] or reply[2 * i] == 0
      reply[2 * i] = count
      if begins then
        reply[2 * i + 1] = tonumber(ARGV[2 * i + 2])
        redis.call('SET', KEYS[i], count, 'PX', ARGV[2 * i + 2])
      else
        redis.call('SET', KEYS[i], count, 'KEEPTTL')
      end
    elseif healed[i] then
      redis.call('SET', KEYS[i], reply[2 * i], 'PX', ARGV[2 * i + 2])
    end
  end
end
return reply

---- refund
-- KEYS: a String that remembers the refund, then as above
-- ARGV: ms for which the refund is remembered, then for each limit: what to give back; the most ms that can be left of the window
-- that counted it (a window that has more left is another one); nothing
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
