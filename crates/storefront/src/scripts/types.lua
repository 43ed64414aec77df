-- The refusal to touch a key of another type, or nil if it may be used (a key that does not exist may).
local function other_type(key, expected)
  local type = redis.call('TYPE', key).ok
  if type ~= expected and type ~= 'none' then
    return {'WRONG_TYPE', key}
  end
end
