-- Returns expired holds to sale, forgets what was settled long ago, and notes when there is something to do again.
local stock, refusal = open('')
if not stock then
  if refusal[1] == 'UNKNOWN_PRODUCT' then
    abroad.next_due(nil)
  end
  return refusal
end
local reply = answer(stock, 'SWEPT', stock.returned)
local old = old_records(stock, AT_ONCE)
forget(old)
-- Where nobody hears of it the holds and the records are not asked again: they may be gone, and while a slot moves a script
-- that asks for a key which it has emptied fails in its middle. (There is no such thing on one server.)
if abroad.index then
  local due
  for _, key in ipairs({KEYS[3], KEYS[4]}) do
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if first[2] then
      due = math.min(due or tonumber(first[2]), tonumber(first[2]))
    end
  end
  abroad.next_due(due)
end
reply[4], reply[5] = #old, abroad.waiting()
return reply
