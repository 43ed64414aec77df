-- Takes one login attempt, counted before its outcome is known.
--
-- KEYS: attempts, block
-- ARGV: attempts before the first pause, first pause in ms, longest pause in ms, ms for which attempts are remembered
local free, first, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local stored, wrong_attempts = text_at(KEYS[1])
local blocked, wrong_block = text_at(KEYS[2])
if wrong_attempts or wrong_block then
  return wrong_attempts or wrong_block
end
if blocked then
  return {'BLOCKED', redis.call('PTTL', KEYS[2])}
end
local attempts = 0
if stored then
  attempts = tonumber(string.match(stored, '^%d+$'))
  if not attempts then
    return {'MALFORMED', KEYS[1], stored}
  end
end

attempts = math.min(attempts + 1, 1000000)
local text = string.format('%.0f', attempts)
redis.call('SET', KEYS[1], text, 'PX', ARGV[4])
if attempts < free then
  return {'ALLOWED', free - attempts, 0}
end
-- The pause begins now, so that whoever comes while this attempt is being checked finds it.
local pause = math.min(longest, first * 2 ^ (attempts - free))
redis.call('SET', KEYS[2], text, 'PX', string.format('%.0f', pause))
return {'ALLOWED', 0, pause}
