-- Reads many Hashes in one call.
-- KEYS: the users
-- Returns the fields and values of each, in order.
local users = {}
for index, key in ipairs(KEYS) do
  users[index] = redis.call('HGETALL', key)
end
return users
