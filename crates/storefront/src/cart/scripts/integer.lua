-- Lua's own tostring writes 1700000000000 as 1.7e+12, which no Redis command takes for a whole number.
local function integer(number)
  return string.format('%.0f', number)
end

-- The whole number a stored text stands for, or nil.
local function whole(text, highest)
  local number = string.match(text or '', '^%d+$') and tonumber(text)
  return number and number <= highest and number or nil
end
