-- Forgets the attempts, and ends the pause that the last of them began.
--
-- KEYS: attempts, block
local _, wrong_attempts = text_at(KEYS[1])
local blocked, wrong_block = text_at(KEYS[2])
if wrong_attempts or wrong_block then
  return wrong_attempts or wrong_block
end

redis.call('DEL', KEYS[1])
-- A block without an end was put there by a person, who is not overruled.
if blocked and redis.call('PTTL', KEYS[2]) >= 0 then
  redis.call('DEL', KEYS[2])
end
return {'FORGOTTEN'}
