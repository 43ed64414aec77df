-- Pauses that grow with failed logins.
--
--   attempts  String: the number of attempts; expires some time after the last attempt
--   block     String that expires with the pause: its ms, and ' new' until blocked_ip says the same. A block without a TTL,
--             or with other text, was set by an operator.

---- attempt
-- Counts one attempt, before the password is checked.
-- KEYS: attempts, block
-- ARGV: attempts before the first pause, first pause (ms), longest pause (ms), attempts TTL (ms)
-- Replies: ALLOWED, attempts left, pause (ms); or BLOCKED, time left or -1 for no end (ms), 1 if the block is new
local stored, block = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])
if block then
  local left = redis.call('PTTL', KEYS[2])
  local pause, new = string.match(block, '^(%d+)( ?n?e?w?)$')
  if pause and left > tonumber(pause) then
    -- The clock was set back. The pause starts over, and blocked_ip has to follow.
    left, new = tonumber(pause), ' new'
    redis.call('SET', KEYS[2], pause .. new, 'PX', pause)
  end
  return {'BLOCKED', left, new == ' new' and 1 or 0}
end

local free, first, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
-- More attempts than this make no difference.
local attempts = math.min(stored and whole(stored, KEYS[1], 'is no count') + 1 or 1, 1000000)
-- SET is the only command that writes, so a user who may not run it leaves no half of an attempt.
redis.call('SET', KEYS[1], string.format('%d', attempts), 'PX', ARGV[4])
if attempts < free then
  return {'ALLOWED', free - attempts, 0}
end
-- The pause begins now, so that it also stops attempts that come while this one is checked.
local pause = string.format('%.0f', math.min(longest, first * 2 ^ math.min(attempts - free, 60)))
redis.call('SET', KEYS[2], pause .. ' new', 'PX', pause)
return {'ALLOWED', 0, tonumber(pause)}

---- published
-- Notes that blocked_ip says the same now.
-- KEYS: attempts, block
-- Replies: PUBLISHED
local block = redis.call('GET', KEYS[2])
local pause = block and string.match(block, '^(%d+) new$')
if pause then
  redis.call('SET', KEYS[2], pause, 'KEEPTTL')
end
return {'PUBLISHED'}

---- forget
-- Forgets the attempts and ends their pause.
-- KEYS: attempts, block
-- ARGV: 'success' or 'unblock' to end an operator's block too
-- Replies: FORGOTTEN, 1 if there was a block
local block = redis.call('GET', KEYS[2])
redis.call('GET', KEYS[1])
if not block then
  redis.call('UNLINK', KEYS[1])
  return {'FORGOTTEN', 0}
end
if ARGV[1] == 'success' and (redis.call('PTTL', KEYS[2]) < 0 or not string.find(block, '^%d')) then
  redis.call('UNLINK', KEYS[1])
  return {'FORGOTTEN', 0}
end
redis.call('UNLINK', KEYS[1], KEYS[2])
return {'FORGOTTEN', 1}
