-- Second step of a merge across slots: the claimed lines enter the user's cart, once per merge id. What came of it is
-- recorded in the same step, refusals too, so that every later attempt gets the same answer.
--
-- KEYS: the user's quantities, prices, deadlines, merges; the user
-- ARGV: cart TTL in ms, channel, owner, merge id, ms to remember the outcome, most units in a line, most lines,
--       then field and value of every claimed line
local ttl, channel, owner, id, remember = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])

local wrong = other_type(KEYS[4], 'hash')
if wrong then
  return wrong
end
local recorded, over = redis.call('HGETALL', KEYS[4]), {}
for i = 1, #recorded, 2 do
  local readable, record = pcall(cjson.decode, recorded[i + 1])
  if not readable or type(record) ~= 'table' or type(record.until_ms) ~= 'number' or type(record.reply) ~= 'table' then
    return {'MALFORMED', KEYS[4], recorded[i]}
  end
  if recorded[i] == id then
    return record.reply
  elseif record.until_ms <= now then
    over[#over + 1] = recorded[i]
  end
end

local function record(reply)
  redis.call('HSET', KEYS[4], id, cjson.encode({until_ms = now + remember, reply = reply}))
  redis.call('PEXPIRE', KEYS[4], remember)
  -- What is over leaves after the new one has entered: a key that a script empties must not be touched again.
  for _, former in ipairs(over) do
    redis.call('HDEL', KEYS[4], former)
  end
  return reply
end

wrong = unknown_user(KEYS[5])
if wrong then
  return record({'REFUSED', wrong})
end
local user, refusal = open(1, channel)
if not user then
  return record({'REFUSED', refusal})
end
local moved, left, units = transfer(claimed_lines(ARGV, 8), user, tonumber(ARGV[6]), tonumber(ARGV[7]))
slide(user, ttl)
if units > 0 then
  publish(user, 'merged', owner, nil, units)
end
return record({'MERGED', moved, left})
