-- Looks for a document, and decides in the same step who loads it if it is not there or stale.
--
-- KEYS: the document, the token of its loader
-- ARGV: our token, ms that a load may take, ms before its end from which an entry is stale, a value that could not be read
-- The answer to a hit is the document alone: the shortest way for what happens most.
local value = redis.call('GET', KEYS[1])
if value == ARGV[4] then
  value = false
end
if value and (ARGV[3] == '0' or redis.call('PTTL', KEYS[1]) >= tonumber(ARGV[3])) then
  return value
end
local loader = redis.call('GET', KEYS[2])
-- Our own token, when the answer that told us of it was lost.
if not loader or loader == ARGV[1] then
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
  return {'LOAD', value}
end
return {'WAIT', value}
