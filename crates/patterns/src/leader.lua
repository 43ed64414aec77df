-- An election:
--
--   leader  String with a TTL: token:term:candidate
--   term    String: the highest term so far

---- leading
-- Reads who leads.
local leading = redis.call('GET', KEYS[1])
local token, term, candidate
if leading then
  token, term, candidate = string.match(leading, '^(%w+):(%d+):(.*)$')
  if not token then
    error({err = 'MALFORMED ' .. KEYS[1] .. ' value'})
  end
end

---- campaign
-- Makes the candidate the leader if there is none, and renews the lease of the leader.
-- KEYS: leader, term
-- ARGV: token, candidate, lease (ms), TTL of the term (ms)
-- Replies: LEADS, term; or FOLLOWS, time left (ms), term, leader
if leading and token ~= ARGV[1] then
  return {'FOLLOWS', redis.call('PTTL', KEYS[1]), term, candidate}
end
local last = redis.call('GET', KEYS[2])
local time = redis.call('TIME')
require_commands('SET', 'PEXPIRE')
if leading then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {'LEADS', term}
end
-- The server's clock in microseconds, so that a term that was lost does not begin again at one.
local next_term = math.max(time[1] * 1000000 + time[2], last and whole(last, KEYS[2], 'value') + 1 or 0)
term = string.format('%.0f', next_term)
redis.call('SET', KEYS[2], term, 'PX', ARGV[4])
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. term .. ':' .. ARGV[2], 'PX', ARGV[3])
return {'LEADS', term}

---- resign
-- Ends the lease, for the leader only.
-- KEYS: leader
-- ARGV: token
-- Replies: RESIGNED; or NOT_LEADING
if token ~= ARGV[1] then
  return {'NOT_LEADING'}
end
require_commands('UNLINK')
redis.call('UNLINK', KEYS[1])
return {'RESIGNED'}
