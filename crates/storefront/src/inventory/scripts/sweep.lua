-- Returns expired holds to sale, forgets what was settled long ago, and notes when there is something to do again.
local stock, refusal = open('')
if not stock then
  if refusal[1] == 'UNKNOWN_PRODUCT' then
    abroad.next_due(nil)
  end
  return refusal
end
local old = redis.call('ZRANGE', KEYS[4], '-inf', integer(now), 'BYSCORE', 'LIMIT', 0, AT_ONCE)
local reply = answer(stock, 'SWEPT', stock.returned)
if #old > 0 then
  redis.call('HDEL', KEYS[2], unpack(old))
  redis.call('ZREM', KEYS[4], unpack(old))
end
local due
for _, key in ipairs({KEYS[3], KEYS[4]}) do
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  if first[2] then
    due = math.min(due or tonumber(first[2]), tonumber(first[2]))
  end
end
abroad.next_due(due)
reply[4], reply[5] = #old, abroad.waiting()
return reply
