-- A record with a fence:
--
--   record  Hash: fields and values, and :fence, the highest number that ever wrote

---- admit
-- Refuses a number that is older than one that has written. Put this section before the writes of a script of your own.
local seen = redis.call('HGET', KEYS[1], ':fence')
if seen and whole(seen, KEYS[1], ':fence') > tonumber(ARGV[1]) then
  return {'STALE', seen}
end

---- write
-- Writes fields, unless a newer holder has written.
-- KEYS: record
-- ARGV: fencing number, then for each field: field, value
-- Replies: WRITTEN; or STALE, highest number that wrote
require_commands('HSET')
redis.call('HSET', KEYS[1], ':fence', ARGV[1], unpack(ARGV, 2))
return {'WRITTEN'}
