-- What the scripts of sessions share.

-- Milliseconds of the Unix epoch by the server's clock.
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The Hash at a key, field to value. Of another type: the server's WRONGTYPE, before anything has changed.
local function stored(key)
  local flat, fields = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do
    fields[flat[i]] = flat[i + 1]
  end
  return fields, flat
end

-- What is written 'pending' or 'moved' is no session: one not yet begun, one whose id was replaced.
local function is_live(fields)
  return fields.created_ms and not fields.state
end

local HIGHEST = 9007199254740991

-- Which of these belong to the session itself. All others are its fields.
local OWN = {user = true, created_ms = true, ends_ms = true, indexed_until_ms = true, state = true, moved_to = true}

-- The index of a user's sessions: only what can still be alive, and gone with the last of them. `now` is passed in, so
-- that one step sees one time.
local function count_alive(index, now)
  return redis.call('ZCOUNT', index, integer(now), '+inf')
end

-- What is over leaves after the new one has entered: an index without sessions is gone, and while its slot moves a script
-- that asks for a key which is gone fails in its middle.
local function keep(index, id, score, now)
  redis.call('ZADD', index, integer(score), id)
  local last = tonumber(redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')[2])
  if last >= now then
    redis.call('ZREMRANGEBYSCORE', index, '-inf', integer(now - 1))
  end
  redis.call('PEXPIREAT', index, integer(last))
end
