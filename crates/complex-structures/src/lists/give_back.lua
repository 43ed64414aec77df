-- Gives the jobs of a dead worker back.
-- KEYS: the worker's heartbeat, its list, the queue
-- Returns: how many jobs it moved.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0  -- the worker is alive
end
local count = 0
while redis.call('LMOVE', KEYS[2], KEYS[3], 'LEFT', 'RIGHT') do
  count = count + 1
end
return count
