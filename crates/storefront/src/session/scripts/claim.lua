-- On a cluster, the step of a login that decides: the old id is dead from here on. Its Hash becomes the image of the new
-- session, which the next step copies, or any later attempt of the same user.
--
-- KEYS: the old session
-- ARGV: the new id, user, 'login' or 'rotate', the successor known to be gone or '', ms to remember it, created,
--       ends at, indexed until
local new, user, mode, gone, remember = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local old, flat = stored(KEYS[1])
local verdict = may_move(old, new, user, mode, gone)
if verdict then
  verdict[#verdict + 1] = flat
  return verdict
end
local was = is_live(old) and (old.user and 'user' or 'guest') or 'nothing'
local image = {'state', 'moved', 'moved_to', new, 'user', user, 'indexed_until_ms', ARGV[8]}
if mode == 'login' then
  image[#image + 1], image[#image + 2] = 'created_ms', ARGV[6]
  image[#image + 1], image[#image + 2] = 'ends_ms', ARGV[7]
end
redis.call('HSET', KEYS[1], unpack(image))
drop_marks(KEYS[1], old)
redis.call('PEXPIRE', KEYS[1], remember)
local _, now_stored = stored(KEYS[1])
return {'CLAIMED', was, now_stored}
