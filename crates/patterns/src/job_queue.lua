-- A job queue. The Hash is the truth. The Sorted Sets are indexes of it, and `repair` can rebuild each of them.
--
--   jobs      Hash:
--     p<ID>   the payload
--     r<ID>   the record: token:size:priority:number:due:failures:losses:reason. The token is empty while the job waits, a number
--             while a worker has it, and x when the job is dead. The record of a finished job is d<token>, without a payload.
--   ready     Sorted Set of IDs in the order in which they are handed out: by priority, then by number
--   delayed   by the time when they are due (ms)
--   running   by the end of their visibility time (ms)
--   dead      by the time when they died (ms)
--   finished  by the time when they finished (ms)
--   counts    Hash of totals, and what the rate needs: window (ms), started
--   doorbell  List. It has one element if an idle worker should look.

---- changes
-- A script first collects its changes here and then writes them with one command for each kind.
local records, deletes, totals = {}, {}, {}
local to_ready, to_delayed, to_running, to_dead, to_finished = {}, {}, {}, {}, {}
local from_ready, from_delayed, from_running, from_dead, from_finished = {}, {}, {}, {}, {}
local function push(list, first, second)
  list[#list + 1] = first
  list[#list + 1] = second
end
local function total(name, by)
  totals[name] = (totals[name] or 0) + by
end
-- Smaller scores come first. Up to 2^45 numbers fit into one priority.
local function place(priority, number)
  return priority * 35184372088832 + number
end

---- write
-- Adds before it removes: a script must not touch a key that it has emptied, in case the key's slot moves.
local rings = #to_ready > 0 or #to_delayed > 0 or still_ready
if #records > 0 then redis.call('HSET', KEYS[1], unpack(records)) end
if #to_ready > 0 then redis.call('ZADD', KEYS[2], unpack(to_ready)) end
if #to_delayed > 0 then redis.call('ZADD', KEYS[3], unpack(to_delayed)) end
if #to_running > 0 then redis.call('ZADD', KEYS[4], unpack(to_running)) end
if #to_dead > 0 then redis.call('ZADD', KEYS[5], unpack(to_dead)) end
if #to_finished > 0 then redis.call('ZADD', KEYS[6], unpack(to_finished)) end
for name, by in pairs(totals) do redis.call('HINCRBY', KEYS[7], name, by) end
if rings and bells == 0 then redis.call('LPUSH', KEYS[8], '1') end
if #from_ready > 0 then redis.call('ZREM', KEYS[2], unpack(from_ready)) end
if #from_delayed > 0 then redis.call('ZREM', KEYS[3], unpack(from_delayed)) end
if #from_running > 0 then redis.call('ZREM', KEYS[4], unpack(from_running)) end
if #from_dead > 0 then redis.call('ZREM', KEYS[5], unpack(from_dead)) end
if #from_finished > 0 then redis.call('ZREM', KEYS[6], unpack(from_finished)) end
if #deletes > 0 then redis.call('HDEL', KEYS[1], unpack(deletes)) end

---- enqueue
-- Adds jobs, all of them or none. An ID that the queue knows is not added again.
-- KEYS: jobs, ready, delayed, running, dead, finished, counts, doorbell
-- ARGV: max jobs, finished IDs kept for (ms), then for each job: ID, priority, due (ms), payload
-- Replies: ENQUEUED, a letter for each job; or FULL, jobs in the queue
local now, most, kept = now_ms(), tonumber(ARGV[1]), tonumber(ARGV[2])
local fields, letters, added, seen = {}, {}, 0, {}
for i = 3, #ARGV, 4 do
  fields[#fields + 1] = 'r' .. ARGV[i]
end
local known = redis.call('HMGET', KEYS[1], unpack(fields))
local in_hash, finished = redis.call('HLEN', KEYS[1]), redis.call('ZCARD', KEYS[6])
-- Read what is only written, too, so that a key of another type stops the script here.
for set = 2, 5 do redis.call('ZCARD', KEYS[set]) end
local number = whole(redis.call('HGET', KEYS[7], 'enqueued') or '0', KEYS[7], 'enqueued')
local bells, still_ready = redis.call('LLEN', KEYS[8]), false
for i = 1, #known do
  local at = 4 * i - 1
  local id, record, letter = ARGV[at], known[i], 'n'
  if seen[id] then
    letter = 'q'
  elseif record and string.sub(record, 1, 1) == 'd' then
    local finished_at = redis.call('ZSCORE', KEYS[6], id)
    if finished_at and tonumber(finished_at) + kept > now then
      letter = 'f'
    else
      push(from_finished, id)
    end
  elseif record then
    letter = 'q'
  end
  if letter == 'n' then
    -- '+5000' is a delay, '0' is now, and any other number is a time.
    local due = ARGV[at + 2]
    due = string.sub(due, 1, 1) == '+' and now + tonumber(string.sub(due, 2)) or tonumber(due)
    added = added + 1
    push(records, 'p' .. id, ARGV[at + 3])
    push(records, fields[i], ':' .. #ARGV[at + 3] .. ':' .. ARGV[at + 1] .. ':' .. number + added .. ':' .. due .. ':0:0:')
    if due > now then
      push(to_delayed, due, id)
    else
      push(to_ready, place(ARGV[at + 1], number + added), id)
    end
  end
  seen[id], letters[i] = true, letter
end
if added == 0 then
  return {'ENQUEUED', table.concat(letters)}
elseif (in_hash - finished) / 2 + added > most then
  return {'FULL', math.ceil((in_hash - finished) / 2)}
end
total('enqueued', added)
require_commands('HSET', 'HDEL', 'HINCRBY', 'ZADD', 'ZREM', 'LPUSH')

---- enqueued
return {'ENQUEUED', table.concat(letters)}

---- settle
-- Settles jobs that a worker had, recovers what is due, and reserves the next jobs, all in one step.
-- KEYS: jobs, ready, delayed, running, dead, finished, counts, doorbell, then for each effect key: key
-- ARGV: max jobs to reserve, visibility time (ms), max losses, max jobs to recover, max bytes, max per window or 0, window (ms),
--   max finished IDs, finished IDs kept for (ms), number of settlements, then for each settlement: ID, token, outcome,
--   reason, then for each effect: settlement, command, key, argument, argument
-- Replies: RESERVED, a letter for each settlement, next job in or -1 (ms), token, jobs of lost workers, quarantined, dropped,
--   index damaged, then for each job: ID, record, payload
local now, settled, letters, done = now_ms(), tonumber(ARGV[10]), {}, 0
local ids, fields, held, leases, position = {}, {}, {}, {}, {}
for i = 1, settled do
  ids[i] = ARGV[4 * i + 7]
  fields[i] = 'r' .. ids[i]
end
if settled > 0 then
  held = redis.call('HMGET', KEYS[1], unpack(fields))
  leases = redis.call('ZMSCORE', KEYS[4], unpack(ids))
end
local hash_length, finished, dead = redis.call('HLEN', KEYS[1]), redis.call('ZCARD', KEYS[6]), redis.call('ZCARD', KEYS[5])
local bells = redis.call('LLEN', KEYS[8])

for i = 1, settled do
  local token, outcome, record = ARGV[4 * i + 8], ARGV[4 * i + 9], held[i] or ''
  if position[ids[i]] then
    letters[i] = letters[position[ids[i]]]
  elseif string.sub(record, 1, #token + 1) == token .. ':' and leases[i] and tonumber(leases[i]) > now
    and string.find(record, '^%d+:%d+:%d+:%d+:%d+:%d+:%d+:') then
    letters[i] = 's'
  elseif record == 'd' .. token then
    -- It was completed before, and the reply was lost.
    letters[i] = outcome == 'done' and 'a' or 'l'
  else
    letters[i] = 'l'
  end
  position[ids[i]] = position[ids[i]] or i
end

---- check_effects
-- An effect must not fail after others have been written. So check the rights, the types, and the numbers first.
local types = {SET = 'string', INCRBY = 'string', HSET = 'hash', HINCRBY = 'hash', SADD = 'set', RPUSH = 'list', ZADD = 'zset'}
local key_types, uses, effects = {}, {}, {}
for at = 4 * settled + 11, #ARGV, 5 do
  local job, command, key = tonumber(ARGV[at]), ARGV[at + 1], KEYS[tonumber(ARGV[at + 2])]
  local first, second = ARGV[at + 3], ARGV[at + 4]
  local wants = types[command]
  if letters[job] == 's' and position[ids[job]] == job then
    local has_field = wants == 'hash' or wants == 'zset'
    local allowed = wants and (has_field and redis.acl_check_cmd(command, key, first, second)
      or not has_field and redis.acl_check_cmd(command, key, first))
    local found = key_types[key] or redis.call('TYPE', key)['ok']
    key_types[key] = found == 'none' and wants or found
    -- One command for each value in a call, so that no effect breaks the next one.
    local use = wants == 'hash' and key .. '\0' .. first or key
    local number = '0'
    if allowed and key_types[key] == wants and found ~= 'none' then
      if command == 'INCRBY' then number = redis.call('GET', key) or '0' end
      if command == 'HINCRBY' then number = redis.call('HGET', key, first) or '0' end
    end
    local countable = string.find(number, '^%-?%d+$') and #number <= 16
    local same = not uses[use] or uses[use] == command or wants ~= 'string' and wants ~= 'hash'
    if allowed and key_types[key] == wants and countable and same then
      uses[use] = command
      effects[#effects + 1] = at
    else
      letters[job] = 'e'
    end
  end
end

---- settle_changes
for i = 1, settled do
  if letters[i] == 's' and position[ids[i]] == i then
    local id, token, outcome = ids[i], ARGV[4 * i + 8], ARGV[4 * i + 9]
    local rest = string.sub(held[i], #token + 1)
    if outcome == 'done' then
      done = done + 1
      push(records, fields[i], 'd' .. token)
      push(to_finished, now, id)
      push(from_running, id)
      push(deletes, 'p' .. id)
    elseif outcome == 'extend' then
      push(to_running, now + ARGV[2], id)
    else
      local size, priority, number, due, failures, losses = string.match(rest, '^:(%d+):(%d+):(%d+):(%d+):(%d+):(%d+):')
      push(from_running, id)
      if outcome == 'back' then
        push(records, fields[i], rest)
        push(to_ready, place(priority, number), id)
      else
        local pause = tonumber(outcome)
        local until_due = pause and now + pause or due
        push(records, fields[i], (pause and '' or 'x') .. ':' .. size .. ':' .. priority .. ':' .. number .. ':' .. until_due
          .. ':' .. failures + 1 .. ':' .. losses .. ':' .. ARGV[4 * i + 10])
        push(pause and to_delayed or to_dead, pause and until_due or now, id)
        total('failed', 1)
        if not pause then total('died', 1) end
      end
    end
  end
end
if done > 0 then
  total('completed', done)
  -- Forget the oldest finished IDs, a bounded number in each call.
  local over, kept = finished + done - tonumber(ARGV[8]), tonumber(ARGV[9])
  local look = math.min(math.max(over, 0) + 10, 2 * done + 10)
  local oldest, old_fields = redis.call('ZRANGE', KEYS[6], 0, look - 1, 'WITHSCORES'), {}
  for i = 1, #oldest, 2 do
    if over > 0 or tonumber(oldest[i + 1]) + kept <= now then
      over = over - 1
      push(from_finished, oldest[i])
      old_fields[#old_fields + 1] = 'r' .. oldest[i]
    end
  end
  if #old_fields > 0 then
    for i, record in ipairs(redis.call('HMGET', KEYS[1], unpack(old_fields))) do
      if record and string.sub(record, 1, 1) == 'd' then
        push(deletes, old_fields[i])
      end
    end
  end
end

---- reserve
-- Finds the next jobs: those that are ready, those that are due now, and those whose visibility time is over.
local most, recover, wait, still_ready = tonumber(ARGV[1]), tonumber(ARGV[4]), -1, false
local reply = {'RESERVED', table.concat(letters), -1, '', 0, 0, 0, 0}
local candidates, chosen, bodies = {}, {}, {}
local counts = redis.call('HMGET', KEYS[7], 'window', 'started', 'reserved')
local ready, delayed = redis.call('ZCARD', KEYS[2]), redis.call('ZCARD', KEYS[3])
local window_begins, started = tonumber(counts[1] or 0), tonumber(counts[2] or 0)
local limited = false
if most > 0 then
  local per_window, window = tonumber(ARGV[6]), tonumber(ARGV[7])
  if per_window > 0 then
    if now >= window_begins + window or now < window_begins then
      window_begins, started = now, 0
    end
    limited = most > per_window - started
    most = math.max(math.min(most, per_window - started), 0)
  end
  local expired = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now, 'LIMIT', 0, recover)
  local due = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, recover)
  local waiting = most > 0 and redis.call('ZRANGE', KEYS[2], 0, most - 1, 'WITHSCORES') or {}
  if #expired == recover or #due == recover then
    wait = 0
  elseif 2 * ready <= #waiting then
    -- When does the next job come, if no other is added?
    for set = 3, 4 do
      local first = redis.call('ZRANGEBYSCORE', KEYS[set], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
      if first and (wait < 0 or first - now < wait) then
        wait = math.ceil(first - now)
      end
    end
  end

  local looked_up, sources = {}, {}
  for _, id in ipairs(expired) do push(looked_up, 'r' .. id) end
  for _, id in ipairs(due) do push(looked_up, 'r' .. id) end
  for i = 1, #waiting, 2 do push(looked_up, 'r' .. waiting[i]) end
  local found = #looked_up > 0 and redis.call('HMGET', KEYS[1], unpack(looked_up)) or {}
  local seen = {}
  for i = 1, #looked_up do
    local field, record = looked_up[i], found[i]
    local id = string.sub(field, 2)
    local from = i <= #expired and from_running or i <= #expired + #due and from_delayed or from_ready
    local token, size, rest = string.match(record or '', '^(%w*):(%d+)(:%d+:%d+:%d+:%d+:%d+:.*)$')
    if not token and string.sub(record or '', 1, 1) ~= 'd' then
      if redis.call('HEXISTS', KEYS[1], 'p' .. id) == 1 then
        -- Only the record was lost, and the job is there.
        token, rest = from == from_running and '0' or '', ':0:0:0:0:0:'
        size = redis.call('HSTRLEN', KEYS[1], 'p' .. id)
      else
        reply[7] = reply[7] + 1
      end
    end
    if not token or (token ~= '') ~= (from == from_running) or token == 'x' or seen[id] then
      -- The record says otherwise, so this entry is a leftover.
      push(from, id)
    else
      seen[id] = true
      if from == from_running then
        local priority, number, due_at, failures, losses, reason = string.match(rest, '^:(%d+):(%d+):(%d+):(%d+):(%d+):(.*)$')
        reply[5] = reply[5] + 1
        losses = losses + 1
        if losses >= tonumber(ARGV[3]) then
          reply[6] = reply[6] + 1
          push(records, field, 'x:' .. size .. ':' .. priority .. ':' .. number .. ':' .. due_at .. ':' .. failures
            .. ':' .. losses .. ':worker lost')
          push(to_dead, now, id)
          push(from, id)
          size = nil
        else
          rest = ':' .. priority .. ':' .. number .. ':' .. due_at .. ':' .. failures .. ':' .. losses .. ':' .. reason
        end
      end
      if size then
        local score
        if from == from_ready then
          score = tonumber(waiting[2 * (i - #expired - #due)])
        else
          local priority, number = string.match(rest, '^:(%d+):(%d+):')
          score = place(priority, number)
        end
        candidates[#candidates + 1] = {id, size, rest, score, from}
      end
    end
  end
  if #expired + #due > 0 then
    table.sort(candidates, function(a, b) return a[4] < b[4] or a[4] == b[4] and a[1] < b[1] end)
  end

  -- Take the first ones, up to the number and the bytes that the worker wants, and at least one.
  local bytes, payload_fields = 0, {}
  for i, job in ipairs(candidates) do
    bytes = bytes + job[2]
    if #chosen < most and (bytes <= tonumber(ARGV[5]) or #chosen == 0) then
      chosen[#chosen + 1] = job
      payload_fields[#payload_fields + 1] = 'p' .. job[1]
    else
      most = #chosen
      if job[5] ~= from_ready then
        push(to_ready, job[4], job[1])
        push(job[5], job[1])
        if job[5] == from_running then push(records, 'r' .. job[1], ':' .. job[2] .. job[3]) end
      end
    end
  end
  if #chosen > 0 then
    bodies = redis.call('HMGET', KEYS[1], unpack(payload_fields))
  end
  local reserved = tonumber(counts[3] or 0)
  local token, lease, taken = now .. string.format('%06d', reserved % 1000000), now + ARGV[2], 0
  for i, job in ipairs(chosen) do
    local id, from = job[1], job[5]
    if not bodies[i] then
      push(deletes, 'r' .. id)
      push(from, id)
      reply[7] = reply[7] + 1
    else
      local record = token .. ':' .. job[2] .. job[3]
      taken = taken + 1
      push(records, 'r' .. id, record)
      push(to_running, lease, id)
      if from ~= from_running then push(from, id) end
      push(reply, id, record)
      push(reply, bodies[i])
    end
  end
  still_ready = ready + #to_ready / 2 - #from_ready > 0
  if limited and most == 0 then
    wait = math.max(window_begins + tonumber(ARGV[7]) - now, 1)
    -- Nobody may start a job now, so ring for nobody.
    still_ready = false
  elseif still_ready then
    wait = 0
  end
  reply[3], reply[4] = wait, token
  local running = redis.call('ZCARD', KEYS[4])
  reply[8] = (hash_length == 2 * (ready + delayed + running + dead) + finished) and 0 or 1
  if taken > 0 then
    total('reserved', 1)
    if tonumber(ARGV[6]) > 0 then
      total('window', window_begins - tonumber(counts[1] or 0))
      total('started', started + taken - tonumber(counts[2] or 0))
    end
  end
  if reply[5] > 0 then total('lost', reply[5]) end
  if reply[6] > 0 then total('quarantined', reply[6]) end
  if reply[7] > 0 then total('dropped', reply[7]) end
end
if #records + #from_running + #from_ready + #from_delayed + #to_running == 0 then
  return reply
end
require_commands('PERSIST', 'HSET', 'HDEL', 'HINCRBY', 'ZADD', 'ZREM', 'LPUSH')
-- PERSIST needs no memory. After it, the server allows the rest of the script even if memory is full.
redis.call('PERSIST', KEYS[1])
for _, at in ipairs(effects) do
  local command, key, first, second = ARGV[at + 1], KEYS[tonumber(ARGV[at + 2])], ARGV[at + 3], ARGV[at + 4]
  if command == 'SET' then redis.call('SET', key, first)
  elseif command == 'INCRBY' then redis.call('INCRBY', key, first)
  elseif command == 'HSET' then redis.call('HSET', key, first, second)
  elseif command == 'HINCRBY' then redis.call('HINCRBY', key, first, second)
  elseif command == 'SADD' then redis.call('SADD', key, first)
  elseif command == 'RPUSH' then redis.call('RPUSH', key, first)
  elseif command == 'ZADD' then redis.call('ZADD', key, first, second)
  end
end

---- reserved
return reply

---- requeue
-- Makes dead jobs ready again, with no failures and no losses.
-- KEYS: jobs, ready, delayed, running, dead, finished, counts, doorbell
-- ARGV: for each job: ID
-- Replies: REQUEUED, number of jobs
local fields, moved, still_ready = {}, 0, false
for i = 1, #ARGV do fields[i] = 'r' .. ARGV[i] end
local found = redis.call('HMGET', KEYS[1], unpack(fields))
local bells, counted = redis.call('LLEN', KEYS[8]), redis.call('HLEN', KEYS[7])
local ready, dead = redis.call('ZCARD', KEYS[2]), redis.call('ZCARD', KEYS[5])
for i = 1, #ARGV do
  local size, priority, number, due, reason = string.match(found[i] or '', '^x:(%d+):(%d+):(%d+):(%d+):%d+:%d+:(.*)$')
  if size and records[#records - 1] ~= fields[i] then
    moved = moved + 1
    push(records, fields[i], ':' .. size .. ':' .. priority .. ':' .. number .. ':' .. due .. ':0:0:' .. reason)
    push(to_ready, place(priority, number), ARGV[i])
    push(from_dead, ARGV[i])
  end
end
if moved == 0 then
  return {'REQUEUED', 0}
end
total('requeued', moved)
require_commands('HSET', 'HDEL', 'HINCRBY', 'ZADD', 'ZREM', 'LPUSH')

---- requeued
return {'REQUEUED', moved}

---- purge
-- Deletes the first jobs of a state, a bounded number of them.
-- KEYS: jobs, ready, delayed, running, dead, finished, counts, doorbell
-- ARGV: ready or delayed or dead, max jobs to delete
-- Replies: PURGED, number of jobs, number of entries looked at
local sets = {ready = {2, from_ready, ''}, delayed = {3, from_delayed, ''}, dead = {5, from_dead, 'x'}}
local set, purged, fields, still_ready = sets[ARGV[1]], 0, {}, false
local ids = redis.call('ZRANGE', KEYS[set[1]], 0, ARGV[2] - 1)
local bells, counted = redis.call('LLEN', KEYS[8]), redis.call('HLEN', KEYS[7])
for i, id in ipairs(ids) do fields[i] = 'r' .. id end
local found = #ids > 0 and redis.call('HMGET', KEYS[1], unpack(fields)) or {}
for i, id in ipairs(ids) do
  push(set[2], id)
  if string.match(found[i] or '', '^(%w*):') == set[3] then
    purged = purged + 1
    push(deletes, 'p' .. id, 'r' .. id)
  end
end
if purged > 0 then total('purged', purged) end
require_commands('PERSIST', 'HSET', 'HDEL', 'HINCRBY', 'ZADD', 'ZREM', 'LPUSH')
redis.call('PERSIST', KEYS[1])

---- purged
return {'PURGED', purged, #ids}

---- repair
-- Brings the indexes in line with the records of these IDs.
-- KEYS: jobs, ready, delayed, running, dead, finished, counts, doorbell
-- ARGV: visibility time (ms), then for each job: ID
-- Replies: REPAIRED, number of jobs that were in the wrong place, number of jobs without a body
local now, moved, dropped, still_ready = now_ms(), 0, 0, false
local bells, counted = redis.call('LLEN', KEYS[8]), redis.call('HLEN', KEYS[7])
local to = {to_ready, to_delayed, to_running, to_dead, to_finished}
local from = {from_ready, from_delayed, from_running, from_dead, from_finished}
for i = 2, #ARGV do
  local id = ARGV[i]
  local record = redis.call('HGET', KEYS[1], 'r' .. id)
  local has_body, size = redis.call('HEXISTS', KEYS[1], 'p' .. id) == 1, redis.call('HSTRLEN', KEYS[1], 'p' .. id)
  local scores, right, score = {}, 0, now
  for set = 1, 5 do scores[set] = redis.call('ZSCORE', KEYS[set + 1], id) end
  if not record and has_body then
    record = ':' .. size .. ':0:0:0:0:0:'
    push(records, 'r' .. id, record)
  end
  local token, priority, number, due = string.match(record or '', '^(%w*):?%d*:?(%d*):?(%d*):?(%d*)')
  if record and string.sub(record, 1, 1) == 'd' then
    right = 5
    if has_body then push(deletes, 'p' .. id) end
  elseif not record or not has_body then
    dropped = dropped + 1
    if record then push(deletes, 'r' .. id) end
  elseif token == 'x' then
    right = 4
  elseif token ~= '' then
    right, score = 3, now + ARGV[1]
  elseif scores[1] or not scores[2] and tonumber(due) <= now then
    right, score = 1, place(priority, number)
  else
    right, score = 2, tonumber(due)
  end
  local wrong = right > 0 and not scores[right]
  if wrong then push(to[right], score, id) end
  for set = 1, 5 do
    if set ~= right and scores[set] then
      push(from[set], id)
      wrong = true
    end
  end
  if wrong and right > 0 then moved = moved + 1 end
end
if dropped > 0 then total('dropped', dropped) end
require_commands('PERSIST', 'HSET', 'HDEL', 'HINCRBY', 'ZADD', 'ZREM', 'LPUSH')
redis.call('PERSIST', KEYS[1])

---- repaired
return {'REPAIRED', moved, dropped}

---- counts
-- Counts the jobs of each state at one moment.
-- KEYS: jobs, ready, delayed, running, dead, finished, counts
-- Replies: COUNTS, ready, delayed, running, dead, finished IDs, enqueued, completed, failed, lost, died, quarantined, purged,
--   dropped, requeued, jobs in no state
local reply = {'COUNTS'}
local jobs, finished = 0, redis.call('ZCARD', KEYS[6])
for set = 2, 5 do
  reply[set] = redis.call('ZCARD', KEYS[set])
  jobs = jobs + reply[set]
end
reply[6] = finished
local names = {'enqueued', 'completed', 'failed', 'lost', 'died', 'quarantined', 'purged', 'dropped', 'requeued'}
for i, number in ipairs(redis.call('HMGET', KEYS[7], unpack(names))) do
  reply[6 + i] = number and tonumber(number) or 0
end
reply[16] = redis.call('HLEN', KEYS[1]) - finished - 2 * jobs
return reply

---- page
-- Reads jobs of one state in order, without their payloads.
-- KEYS: jobs, the state's Sorted Set
-- ARGV: first position, last position
-- Replies: PAGE, then for each job: ID, score, record
local reply, fields = {'PAGE'}, {}
local found = redis.call('ZRANGE', KEYS[2], ARGV[1], ARGV[2], 'WITHSCORES')
for i = 1, #found, 2 do fields[#fields + 1] = 'r' .. found[i] end
local records = #fields > 0 and redis.call('HMGET', KEYS[1], unpack(fields)) or {}
for i = 1, #records do
  reply[#reply + 1] = found[2 * i - 1]
  reply[#reply + 1] = found[2 * i]
  reply[#reply + 1] = records[i] or ''
end
return reply
