-- Whether this attempt may replace the id of `old`: nil, or the answer instead.
local function may_move(old, new, user, mode, gone)
  if old.state == 'moved' then
    if old.moved_to == new and old.user == user then
      -- This very attempt has replaced it, and its answer was lost.
      return {'CLAIMED', mode == 'rotate' and 'user' or 'again'}
    elseif mode == 'rotate' then
      return {'NONE'}
    elseif old.user ~= user then
      return {'OTHER_USER', old.user}
    elseif old.moved_to ~= gone then
      return {'MOVED', old.moved_to}
    end
  elseif old.user and old.user ~= user and is_live(old) then
    return {'OTHER_USER', old.user}
  elseif mode == 'rotate' and not (is_live(old) and old.user) then
    return {'NONE'}
  end
end

-- Marks that last a short time say what the holder of the old id has just proven. The new one begins without.
local function drop_marks(key, fields)
  for name in pairs(fields) do
    local mark = string.match(name, '^(.*):until$')
    if mark then
      redis.call('HDEL', key, mark, name)
    end
  end
end
