-- The String at a key, or the refusal to touch a key of another type.
local function text_at(key)
  local text = redis.pcall('GET', key)
  if type(text) == 'table' then
    return nil, {'WRONG_TYPE', key}
  end
  return text
end

