-- A fixed window ends with its key, and a key ends by the server's clock. By the recorded one it ends as long after its
-- begin as that says, however long the replay takes; the keys are kept for longer than any window.
--
-- KEYS[2]: when the window began; the last of ARGV: the time of this request, in microseconds
local now, kept = tonumber(ARGV[#ARGV]), 172800000
local began = tonumber(redis.call('GET', KEYS[2]) or now)
local function window_left()
  return ARGV[3] - math.floor((now - began) / 1000)
end
local stored, left = redis.call('GET', KEYS[1]), window_left()
-- What is left of a later replay is over too; a request that is only out of order belongs to the window before it.
local is_over = left <= 0 or left > 2 * ARGV[3]
if not stored or is_over and string.match(stored, '^%d+$') then
  began = now
  -- Not UNLINK: while its slot moves, a script that asks for a key which it has deleted fails in its middle.
  redis.call('SET', KEYS[1], '0', 'PX', kept)
end
redis.call('SET', KEYS[2], began, 'PX', kept)

