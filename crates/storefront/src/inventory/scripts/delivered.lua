-- Takes out of an outbox what was delivered.
--
-- KEYS: outbox
-- ARGV: the number of the last change that was delivered
local entries, last = redis.call('LRANGE', KEYS[1], 0, -1), tonumber(ARGV[1])
local done = 0
while entries[done + 1] and tonumber(string.match(entries[done + 1], '^{"n":(%d+)') or 0) <= last do
  done = done + 1
end
redis.call('LTRIM', KEYS[1], done, -1)
return {'DONE'}
