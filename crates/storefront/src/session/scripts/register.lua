-- Puts a session into its user's index, or keeps it there for longer.
--
-- KEYS: the index
-- ARGV: id, idle time in ms, when the session ends at the latest or its highest age ('at 1700000000000', 'in 1000'),
--       ms that clocks may differ, most sessions of a user, the session that must be there or ''
local id, idle, skew, most, must = ARGV[1], tonumber(ARGV[2]), ARGV[4], tonumber(ARGV[5]), ARGV[6]
local now = clock()
local how, number = string.match(ARGV[3], '^(%a+) (%d+)$')
local ends = how == 'at' and tonumber(number) or now + number
if must ~= '' and not redis.call('ZSCORE', KEYS[1], must) then
  return {'GONE'}
end
if must == '' and count_alive(KEYS[1], now) >= most and not redis.call('ZSCORE', KEYS[1], id) then
  return {'FULL'}
end
local indexed = math.min(now + 2 * idle, ends)
keep(KEYS[1], id, indexed + skew, now)
return {'REGISTERED', integer(indexed), integer(now), integer(ends)}
