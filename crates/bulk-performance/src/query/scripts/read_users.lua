-- Reads many Hashes at once.
-- KEYS the users. Returns fields and values of each, in the
-- order of the keys.
local users = {}
for index, key in ipairs(KEYS) do
  users[index] = redis.call('HGETALL', key)
end
return users
