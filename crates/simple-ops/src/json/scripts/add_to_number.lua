-- Adds to a number inside a JSON string, in one step, and refuses to go below 0.
-- KEYS: document
-- ARGV: field, what to add
-- Replies: the sum
local text = redis.call('GET', KEYS[1])
if not text then
  return redis.error_reply('NODOCUMENT nothing is there')
end
local document = cjson.decode(text)
local before = document[ARGV[1]]
local sum = before + tonumber(ARGV[2])
if sum < 0 then
  return redis.error_reply('TOOFEW only ' .. before .. ' left')
end
document[ARGV[1]] = sum
text = cjson.encode(document)
redis.call('SET', KEYS[1], text, 'KEEPTTL')
return sum
