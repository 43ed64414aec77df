-- An idempotency key:
--
--   record  Hash: request (SHA-1 and length of what was asked), token and lease_ends (ms) of who works on it, attempts, and at
--     the end the answer

---- record
-- Reads the record.
local stored = redis.call('HMGET', KEYS[1], 'request', 'token', 'lease_ends', 'attempts', 'answer')
local request, token, answer = stored[1], stored[2], stored[5]

---- begin
-- Lets one caller work on the request, or says what came of it.
-- KEYS: record
-- ARGV: token, request, lease (ms), time to keep the record (ms)
-- Replies: STARTED, attempt; or IN_PROGRESS, time until another may try (ms); or DONE, answer; or OTHER_REQUEST
local digest, now = redis.sha1hex(ARGV[2]) .. ':' .. #ARGV[2], now_ms()
if request and request ~= digest then
  return {'OTHER_REQUEST'}
elseif answer then
  return {'DONE', answer}
end
local lease_ends = stored[3] and whole(stored[3], KEYS[1], 'lease_ends') or 0
local attempts = stored[4] and whole(stored[4], KEYS[1], 'attempts') or 0
if token and token ~= ARGV[1] and lease_ends > now then
  return {'IN_PROGRESS', lease_ends - now}
end
require_commands('HSET', 'PEXPIRE')
-- The same token again is a retry after a lost reply.
if token ~= ARGV[1] then
  attempts = attempts + 1
end
redis.call('HSET', KEYS[1], 'request', digest, 'token', ARGV[1], 'attempts', attempts,
  'lease_ends', string.format('%.0f', now + ARGV[3]))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {'STARTED', attempts}

---- finish
-- Stores the answer, unless another caller took over. If the record was lost, the answer restores it.
-- KEYS: record
-- ARGV: token, request, answer, time to keep the record (ms)
-- Replies: STORED; or DONE, answer; or LOST; or OTHER_REQUEST
local digest = redis.sha1hex(ARGV[2]) .. ':' .. #ARGV[2]
if request and request ~= digest then
  return {'OTHER_REQUEST'}
elseif answer then
  return {'DONE', answer}
elseif token and token ~= ARGV[1] then
  return {'LOST'}
end
require_commands('HSET', 'PEXPIRE', 'HDEL')
redis.call('HSET', KEYS[1], 'request', digest, 'answer', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('HDEL', KEYS[1], 'token', 'lease_ends')
return {'STORED'}

---- give_up
-- Lets another caller try at once, because nothing was done. The request stays known.
-- KEYS: record
-- ARGV: token
-- Replies: GIVEN_UP; or LOST
if token ~= ARGV[1] or answer then
  return {'LOST'}
end
local attempts = whole(stored[4] or '', KEYS[1], 'attempts')
require_commands('HSET', 'HDEL')
redis.call('HSET', KEYS[1], 'attempts', attempts - 1)
redis.call('HDEL', KEYS[1], 'token', 'lease_ends')
return {'GIVEN_UP'}
