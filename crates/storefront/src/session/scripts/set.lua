-- Sets one field of a session, only if the session is alive: an update must not bring back one that has just ended.
--
-- KEYS: the session
-- ARGV: field, value, most fields, ms until the field is over or '', 'field_ttl' if the server frees it by itself
local name, value, most, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local till = name .. ':until'
local fields = stored(KEYS[1])
if not is_live(fields) then
  return {'NONE'}
end
local now, count, over = clock(), 0, {}
for field in pairs(fields) do
  local mark = string.match(field, '^(.*):until$')
  if mark and tonumber(fields[field]) and tonumber(fields[field]) <= now then
    over[#over + 1], over[#over + 2] = mark, field
    count = count - 1
  elseif not mark and not OWN[field] then
    count = count + 1
  end
end
if #over > 0 then
  redis.call('HDEL', KEYS[1], unpack(over))
end
for i = 1, #over, 2 do
  fields[over[i]] = nil
end
if not fields[name] and count >= most then
  return {'FULL'}
end
if not ttl then
  redis.call('HSET', KEYS[1], name, value)
  redis.call('HDEL', KEYS[1], till)
  return {'SET'}
end
redis.call('HSET', KEYS[1], name, value, till, integer(now + ttl))
if ARGV[5] == 'field_ttl' then
  redis.call('HPEXPIREAT', KEYS[1], integer(now + ttl), 'FIELDS', 2, name, till)
end
return {'SET'}
