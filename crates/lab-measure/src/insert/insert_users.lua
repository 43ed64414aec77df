-- Writes many users as Hashes.
-- KEYS: one key for each user.
-- ARGV starts with the eight field names. The eight values of each user follow, in the order of the keys.
local fields = 8
for user, key in ipairs(KEYS) do
    local command = { 'HSET', key }
    for field = 1, fields do
        command[#command + 1] = ARGV[field]
        command[#command + 1] = ARGV[user * fields + field]
    end
    redis.call(unpack(command))
end
return #KEYS
