-- Functions for the scripts of all patterns. A script gets those that it names: see script.rs.

---- whole
-- Parses a whole number up to 2^53. Any other text comes from another program and ends the script, which must not have
-- written yet.
local function whole(text, key, field)
  local number = string.find(text, '^%d+$') and tonumber(text)
  if not number or number > 9007199254740992 then
    error({err = 'MALFORMED ' .. key .. ' ' .. field})
  end
  return number
end

---- now_ms
-- The server's clock in milliseconds since 1970. An operator may set it back.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

---- require_commands
-- Ends the script before its first write if the user may not run one of these commands on the first key. A
-- refusal in the middle of a script would leave half of its writes.
local function require_commands(...)
  local key, check = KEYS[1], redis.acl_check_cmd
  for _, command in ipairs({...}) do
    -- Redis 8.10 also checks the number of arguments. Most commands that write take three; the others take two, one, four, or five.
    local checked, allowed = pcall(check, command, key, key, key)
    if not checked then checked, allowed = pcall(check, command, key, key) end
    if not checked then checked, allowed = pcall(check, command, key) end
    if not checked then checked, allowed = pcall(check, command, key, key, key, key) end
    if not checked then allowed = check(command, key, key, key, key, key) end
    if not allowed then
      error({err = 'NOPERM this pattern needs a user who may run ' .. command .. '; nothing was changed'})
    end
  end
end

---- require_channel
-- The same for PUBLISH. (Since Redis 7, a new user may publish on no channel.)
local function require_channel(channel)
  if not redis.acl_check_cmd('PUBLISH', channel, '') then
    error({err = 'NOPERM this pattern needs a user who may publish on ' .. channel .. '; nothing was changed'})
  end
end

