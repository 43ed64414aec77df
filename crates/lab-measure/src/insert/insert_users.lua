-- Writes many users as Hashes.
-- KEYS: one key for each user.
-- ARGV: the eight field names, once; then the eight values of each user, in the order of the keys.
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
