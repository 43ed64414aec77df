-- The String at a key, or the refusal to touch a key of another type, or what else the server says.
local function text_at(key)
  local text = redis.pcall('GET', key)
  if type(text) ~= 'table' then
    return text
  end
  local of_another_type = string.sub(text.err, 1, 9) == 'WRONGTYPE'
  return nil, of_another_type and {'WRONG_TYPE', key} or text
end

