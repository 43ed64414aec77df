-- The clock of recorded traffic: what follows asks it for the time, and its keys expire by it. The time is the last argument, in
-- microseconds. On the server, keys expire half a century later, so that they stay while the recording is replayed.
local server, now, shift = redis, tonumber(ARGV[#ARGV]), 1577836800000
local ms = math.floor(now / 1000)
for _, key in ipairs(KEYS) do
  local at = server.call('PEXPIRETIME', key)
  if at > 0 and at - shift < ms then
    server.call('UNLINK', key)
  end
end
local redis = {acl_check_cmd = server.acl_check_cmd, call = function(name, key, ...)
  local rest = {...}
  if name == 'TIME' then
    return {string.format('%.0f', math.floor(now / 1000000)), string.format('%.0f', now % 1000000)}
  elseif name == 'PTTL' then
    local at = server.call('PEXPIRETIME', key)
    return at < 0 and at or at - shift - ms
  elseif name == 'PEXPIRE' then
    return server.call('PEXPIREAT', key, string.format('%.0f', ms + rest[1] + shift))
  elseif name == 'SET' and rest[2] == 'PX' then
    return server.call('SET', key, rest[1], 'PXAT', string.format('%.0f', ms + rest[3] + shift))
  end
  return server.call(name, key, ...)
end}
