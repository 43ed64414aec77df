-- Notes a grade: what is known of the question, and when it is due again.
--
-- KEYS  1 due (Sorted Set)  2 state (Hash)
-- ARGV  1 question  2 grade  3 after again, ms  4 the shortest interval, ms  5 the longest, ms
-- Returns after how many milliseconds it is due.

local again, shortest, longest = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

-- Both keys are read before either is written: one of somebody else's type changes nothing.
redis.call('ZSCORE', KEYS[1], ARGV[1])
local known, state = pcall(cjson.decode, redis.call('HGET', KEYS[2], ARGV[1]) or '{}')
if not known or type(state) ~= 'table' then
    state = {}
end
local interval = tonumber(state.interval) or 0

local after
if ARGV[2] == 'again' then
    interval, after = 0, again
elseif ARGV[2] == 'hard' then
    interval, after = shortest, shortest
else
    interval = math.min(math.max(interval * 2, shortest), longest)
    after = interval
end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local seen = (tonumber(state.seen) or 0) + 1
local missed = (tonumber(state.missed) or 0) + (ARGV[2] == 'again' and 1 or 0)
-- %.0f, because Lua would write large numbers with an exponent.
local text = string.format('{"interval":%.0f,"seen":%.0f,"missed":%.0f,"grade":"%s","at":%.0f}', interval, seen,
    missed, ARGV[2], now)
redis.call('HSET', KEYS[2], ARGV[1], text)
redis.call('ZADD', KEYS[1], string.format('%.0f', now + after), ARGV[1])
return after
