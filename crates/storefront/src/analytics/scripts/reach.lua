-- A visitor has reached a step: he counts for it and for every step before it where he was not counted yet.
--
-- KEYS: funnel, visitors
-- ARGV: visitor, number of the step, ms it is kept or '' until midnight, the steps up to that one
local funnel, visitors = KEYS[1], KEYS[2]
local visitor, reached = ARGV[1], tonumber(ARGV[2])

local stored = redis.call('HGET', visitors, visitor)
local before = tonumber(stored or '0')
if not before or before < 0 or before % 1 ~= 0 then
  return {'MALFORMED', visitors, visitor}
elseif before >= reached then
  return {'KNOWN', before}
end
local steps = {}
for step = before + 1, reached do
  steps[#steps + 1] = ARGV[3 + step]
end
for i, count in ipairs(redis.call('HMGET', funnel, unpack(steps))) do
  if count and not (string.match(count, '^%d+$') and tonumber(count) < 9007199254740992) then
    return {'MALFORMED', funnel, steps[i]}
  end
end

for _, step in ipairs(steps) do
  redis.call('HINCRBY', funnel, step, 1)
end
redis.call('HSET', visitors, visitor, reached)
if not stored and redis.call('HLEN', visitors) == 1 then
  if ARGV[3] == '' then
    local midnight = (math.floor(redis.call('TIME')[1] / 86400) + 1) * 86400
    redis.call('EXPIREAT', funnel, midnight)
    redis.call('EXPIREAT', visitors, midnight)
  else
    redis.call('PEXPIRE', funnel, ARGV[3])
    redis.call('PEXPIRE', visitors, ARGV[3])
  end
end
return {'REACHED', #steps}
