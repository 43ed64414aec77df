-- The usual reservation, in as few steps as there are: a new id, enough units, nothing expired, no alert near. Whatever is
-- unusual, also what cannot be read, changes nothing here and is left to what follows, which knows every case.
--
-- It stands before the functions that the scripts share, since defining them takes as long as some commands, and lets the
-- server write numbers where it can. (Below 1e14 every release writes a number of Lua's as a whole one.)
--
-- KEYS: free units, ledger, deadlines of holds, times until settled records are remembered, the outbox; or the list of
--       updates instead, the low-stock alerts, and the products by when something of them is due
-- ARGV: product, ms for which a settled record is remembered, entries that the list of updates keeps, the record's field,
--       units, ms to hold them, the part of the list's entry that the caller knows
do
  local call = redis.call
  local free = call('GET', KEYS[1])
  local row = call('HMGET', KEYS[2], 'held', 'sold', 'changes', 'low_at', 'alert', 'due', ARGV[4])
  local held, sold, changes, due = row[1], row[2], row[3], row[6]
  -- (DECRBY takes no '007', and is not the first to write.)
  if free and held and sold and changes and not row[7] and row[5] ~= 'raised'
    and string.find(free .. ' ' .. held .. ' ' .. sold .. ' ' .. changes, '^[1-9]%d* %d+ %d+ %d+$') then
    local time = call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local till, units = now + ARGV[6], ARGV[5]
    local left, low_at = free - units, tonumber(row[4] or '') or -1
    held, changes, due = held + units, changes + 1, tonumber(due)
    local exact = left >= 0 and left + held + sold < 1e14 and changes < 1e14
    -- On one server `due` is no later than any hold ends, so before it none can have expired.
    local quiet = KEYS[7] and due and due > now and due <= till
      or not KEYS[7] and not call('ZRANGE', KEYS[3], '-inf', now, 'BYSCORE', 'LIMIT', 0, 1)[1]
    if exact and quiet and left > low_at then
      local entry = string.format(
        '{"n":%d%s%d,"held":%d,"sold":%d,"at_ms":%d}', changes, ARGV[7], left, held, sold, now)
      -- Neither the deadlines nor the list were read. The first to be written may be of another type, and nothing has
      -- changed; after the second the first is taken back.
      call('ZADD', KEYS[3], till, ARGV[4])
      local entries = redis.pcall(KEYS[7] and 'LPUSH' or 'RPUSH', KEYS[5], entry)
      if type(entries) == 'table' then
        call('ZREM', KEYS[3], ARGV[4])
        return entries
      end
      call('DECRBY', KEYS[1], units)
      call('HSET', KEYS[2], ARGV[4], string.format('held %s %d', units, till), 'held', held, 'changes', changes)
      -- The server searches a small Hash (512 fields) from end to end, twice for each reservation. One long value makes it a
      -- table for good, in which every field is found at once: for a product that sells.
      if changes % 32 == 0 then
        call('HSET', KEYS[2], ':', string.rep(':', 100))
        call('HDEL', KEYS[2], ':')
      end
      -- As many more as the general way allows.
      if entries > ARGV[3] + 100 then
        if KEYS[7] then
          call('LTRIM', KEYS[5], 0, ARGV[3] - 1)
        else
          call('LTRIM', KEYS[5], -ARGV[3], -1)
        end
      end
      return {'HELD', 0, left, till, units}
    end
  end
end
