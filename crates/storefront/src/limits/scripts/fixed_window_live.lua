-- A window ends with its key.
local function window_left()
  return redis.call('PTTL', KEYS[1])
end

