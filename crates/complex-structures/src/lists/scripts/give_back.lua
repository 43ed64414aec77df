-- KEYS: heartbeat, processing list, queue
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0  -- alive
end
local given_back = 0
while redis.call('LMOVE', KEYS[2], KEYS[3],
                 'LEFT', 'RIGHT') do
  given_back = given_back + 1
end
return given_back
