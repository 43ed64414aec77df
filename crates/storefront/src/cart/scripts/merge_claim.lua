-- First step of a merge across slots: the guest's lines move into a claim, out of everybody else's reach. A claim that
-- is already there is answered as it is, so that whoever comes next can carry it on.
--
-- KEYS: the guest's quantities, prices, deadlines, claim
-- ARGV: cart TTL in ms, merge id, user
local wrong = other_type(KEYS[4], 'hash')
if wrong then
  return wrong
end
local claimed = redis.call('HGETALL', KEYS[4])
if #claimed > 0 then
  return {'CLAIMED', claimed}
end
local guest, refusal = open(1)
if not guest then
  return refusal
end

claimed = {}
for sku, line in pairs(guest.lines) do
  claimed[#claimed + 1] = 'line:' .. sku
  claimed[#claimed + 1] = integer(line.quantity) .. ' ' .. (line.seen and integer(line.seen) or '-') .. ' '
    .. (line.deadline and integer(line.deadline) or '-')
end
if #claimed == 0 then
  return {'NOTHING'}
end
unlink(1)
redis.call('HSET', KEYS[4], 'id', ARGV[2], 'user', ARGV[3])
for i = 1, #claimed, 2 do
  redis.call('HSET', KEYS[4], claimed[i], claimed[i + 1])
end
-- As long as the guest's cart would have lived.
redis.call('PEXPIRE', KEYS[4], ARGV[1])
return {'CLAIMED', redis.call('HGETALL', KEYS[4])}
