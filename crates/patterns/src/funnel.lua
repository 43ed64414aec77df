-- How far the visitors of a funnel get. funnel:today is a Hash: step -> visitors. The visitors companion is a Hash too:
-- visitor -> number of the deepest step. The two always agree.

---- reach
-- Counts a visitor for the step reached, and for every step before it that the visitor was not counted for.
-- KEYS: funnel, visitors
-- ARGV: visitor, number of the step, TTL or '' for until midnight (ms), then for each step up to that one: name
-- Replies: REACHED, new steps; or KNOWN; or RESTART
local now = now_ms()
local both = redis.call('EXISTS', KEYS[1], KEYS[2])
local stored = redis.call('HGET', KEYS[2], ARGV[1])
local counts = redis.call('HMGET', KEYS[1], unpack(ARGV, 4))
if both == 1 then
  return {'RESTART'}
end
local before, reached = stored and whole(stored, KEYS[2], ARGV[1]) or 0, tonumber(ARGV[2])
if before >= reached then
  return {'KNOWN'}
end
for step = before + 1, reached do
  if counts[step] then
    whole(counts[step], KEYS[1], ARGV[3 + step])
  end
end
local left = redis.call('PTTL', KEYS[1])
local longest = tonumber(ARGV[3]) or 86400000 - now % 86400000

require_commands('HSET', 'HINCRBY', 'PEXPIREAT')
redis.call('HSET', KEYS[2], ARGV[1], reached)
for step = before + 1, reached do
  redis.call('HINCRBY', KEYS[1], ARGV[3 + step], 1)
end
-- Also if the clock was ahead when the funnel began: it would live for too long.
if left < 0 or left > longest + 1000 then
  local ends = string.format('%.0f', now + longest)
  redis.call('PEXPIREAT', KEYS[1], ends)
  redis.call('PEXPIREAT', KEYS[2], ends)
end
return {'REACHED', reached - before}

---- restart
-- Starts over if one of the two keys was lost: the other one alone would count visitors twice, or never again.
-- KEYS: funnel, visitors
-- Replies: RESTARTED
if redis.call('EXISTS', KEYS[1], KEYS[2]) == 1 then
  redis.call('UNLINK', KEYS[1], KEYS[2])
end
return {'RESTARTED'}
