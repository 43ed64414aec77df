-- A fixed window ends with its key, and a key ends by the server's clock. So between two recorded requests as much is
-- taken from the key's TTL as lies between their times.
--
-- KEYS[2]: the time of the request before; the last of ARGV: the time of this one, in microseconds
local before = tonumber(redis.call('GET', KEYS[2]) or ARGV[#ARGV])
local passed = math.floor((ARGV[#ARGV] - before) / 1000)
local left = redis.call('PTTL', KEYS[1])
if left >= 0 and passed >= left then
  -- Not UNLINK: while its slot moves, a script that asks for a key which it has deleted fails in its middle.
  redis.call('SET', KEYS[1], '0', 'PX', ARGV[3])
elseif left >= 0 and passed > 0 then
  redis.call('PEXPIRE', KEYS[1], left - passed)
end
-- Longer than any window.
redis.call('SET', KEYS[2], ARGV[#ARGV], 'PX', 172800000)

