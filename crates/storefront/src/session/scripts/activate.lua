-- On a cluster, the last step of a login: the prepared session becomes the image of what the old one was.
--
-- KEYS: the new session
-- ARGV: idle time in ms, indexed until, then the image, field and value
local here = stored(KEYS[1])
if is_live(here) then
  return {'ACTIVE'}
end
if here.state ~= 'pending' then
  return {'GONE'}
end
local session, ends = {}, tonumber(ARGV[2])
for i = 3, #ARGV, 2 do
  if ARGV[i] ~= 'state' and ARGV[i] ~= 'moved_to' then
    session[#session + 1], session[#session + 2] = ARGV[i], ARGV[i + 1]
  end
  if ARGV[i] == 'ends_ms' then
    ends = math.min(ends, ARGV[i + 1])
  end
end
redis.call('HSET', KEYS[1], unpack(session))
redis.call('HDEL', KEYS[1], 'state')
redis.call('PEXPIREAT', KEYS[1], integer(math.min(clock() + ARGV[1], ends)))
return {'ACTIVE'}
