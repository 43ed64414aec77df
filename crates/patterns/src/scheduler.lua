-- One schedule is a Hash:
--
--   done      the last slot that was enqueued, in seconds since 1970
--   slot      the slot that a process has decided to enqueue, and has not reported as enqueued
--   token     that process
--   until     when its lease ends, in milliseconds since 1970
--   attempts  how often that slot was decided
--   skipped   how many slots were never enqueued

---- state
-- Reads where the schedule stands. A new schedule begins now.
-- KEYS: schedule
-- Replies: STATE, now (ms), done, slot or an empty text, skipped
local state = redis.call('HMGET', KEYS[1], 'done', 'slot', 'skipped')
local now = now_ms()
local done = state[1] and whole(state[1], KEYS[1], 'done')
if not done then
  require_commands('HSET')
  done = math.floor(now / 1000)
  redis.call('HSET', KEYS[1], 'done', string.format('%.0f', done))
end
return {'STATE', string.format('%.0f', now), string.format('%.0f', done), state[2] or '', state[3] or 0}

---- decide
-- Decides that this process enqueues this slot, if the schedule still stands where the process has seen it.
-- KEYS: schedule
-- ARGV: done, slot, token, lease (ms)
-- Replies: DECIDED, attempts; or BUSY, time left (ms); or CHANGED
local state = redis.call('HMGET', KEYS[1], 'done', 'slot', 'until', 'token', 'attempts')
local now, lease = now_ms(), tonumber(ARGV[4])
if state[1] ~= ARGV[1] or state[2] and state[2] ~= ARGV[2] then
  return {'CHANGED'}
end
local left = (tonumber(state[3]) or 0) - now
-- A process that asks again, because its answer was lost, has its lease. With more time left than a lease has, the clock was set
-- back.
if state[2] and left > 0 and left <= lease and state[4] ~= ARGV[3] then
  return {'BUSY', left}
end
local attempts = (state[2] and tonumber(state[5]) or 0) + 1
require_commands('HSET')
redis.call('HSET', KEYS[1], 'slot', ARGV[2], 'token', ARGV[3], 'until', string.format('%.0f', now + lease), 'attempts', attempts)
return {'DECIDED', attempts}

---- finish
-- Remembers that a slot was enqueued, by whichever process.
-- KEYS: schedule
-- ARGV: slot, slots skipped before it
-- Replies: FINISHED; or AGAIN
local state = redis.call('HMGET', KEYS[1], 'done', 'slot')
local done = state[1] and whole(state[1], KEYS[1], 'done') or 0
if done >= tonumber(ARGV[1]) then
  return {'AGAIN'}
end
require_commands('HSET', 'HINCRBY', 'HDEL')
redis.call('HSET', KEYS[1], 'done', ARGV[1])
redis.call('HINCRBY', KEYS[1], 'skipped', ARGV[2])
redis.call('HDEL', KEYS[1], 'slot', 'token', 'until', 'attempts')
return {'FINISHED'}

---- release
-- Ends the lease of a process that could not enqueue its slot. Another process may try at once.
-- KEYS: schedule
-- ARGV: slot, token
-- Replies: RELEASED; or NOT_HELD
local state = redis.call('HMGET', KEYS[1], 'slot', 'token')
if state[1] ~= ARGV[1] or state[2] ~= ARGV[2] then
  return {'NOT_HELD'}
end
require_commands('HSET')
redis.call('HSET', KEYS[1], 'until', 0)
return {'RELEASED'}
