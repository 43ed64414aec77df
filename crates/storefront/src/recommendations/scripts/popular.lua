-- Counts a view that fades. A view at moment t adds 2^((t - landmark) / half-life): later views weigh more, so that what
-- is stored need not be made less. Before the numbers grow too large, all are divided by the same, and the landmark moves.
--
-- KEYS: popular products and their landmark, once or several times
-- ARGV: SKU, the moment in ms or '' for now, half-life in ms, the most products, half-lives until the landmark moves
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local moment = math.min(tonumber(ARGV[2]) or now, now)
local half_life, most, longest = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local landmarks, sizes = {}, {}
for i = 1, #KEYS, 2 do
  sizes[i] = redis.call('ZCARD', KEYS[i])
  local stored = redis.call('GET', KEYS[i + 1])
  landmarks[i] = stored and tonumber(stored)
  if stored and not (landmarks[i] and landmarks[i] >= 0 and landmarks[i] <= now) then
    return {'MALFORMED', KEYS[i + 1], stored}
  end
end

for i = 1, #KEYS, 2 do
  local popular, landmark = KEYS[i], landmarks[i]
  local age = landmark and (moment - landmark) / half_life
  if not age or age > longest then
    if age then
      -- After a very long pause the order of what there was stays, as far as doubles go.
      local factor = string.format('%.17g', math.max(2 ^ -age, 2 ^ -500))
      redis.call('ZUNIONSTORE', popular, 1, popular, 'WEIGHTS', factor)
    end
    redis.call('SET', KEYS[i + 1], string.format('%.0f', moment))
    age = 0
  end
  redis.call('ZINCRBY', popular, string.format('%.17g', 2 ^ age), ARGV[1])
  -- A tenth more than there may be, so that a newcomer has time to gather views.
  if sizes[i] >= most * 1.1 then
    redis.call('ZREMRANGEBYRANK', popular, 0, -1 - most)
  end
end
return {'VIEWED'}
