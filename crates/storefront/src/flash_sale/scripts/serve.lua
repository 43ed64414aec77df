-- The sale as the scripts need it that give units back or let somebody leave the line. Every key is read here, so one of
-- another type is refused before anything changes.
--
-- KEYS: sale, bought, line, tickets
local function read_sale()
  local wrong = other_type(KEYS[1], 'hash') or other_type(KEYS[2], 'hash') or other_type(KEYS[3], 'zset')
    or other_type(KEYS[4], 'hash')
  if wrong then
    return nil, wrong
  end
  local fields = redis.call('HMGET', KEYS[1], 'ends', 'left', 'sold', 'kept_until')
  local sale = {
    ends = tonumber(fields[1]), left = tonumber(fields[2]), sold = tonumber(fields[3]), kept_until = fields[4],
  }
  if not (sale.ends and sale.left and sale.sold and sale.kept_until) then
    return nil, redis.call('EXISTS', KEYS[1]) == 0 and {'NO_SALE'} or {'MALFORMED', KEYS[1], 'a field of the sale'}
  end
  return sale
end

-- Sells what is left to those in line, the first first, until there is not enough for who is first now. Nobody is served
-- after the end. `leaving` (or nil) is in line no more. Gives the customers served, as 'customer:order:number:units'.
local function serve(sale, leaving)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local served, gone, rank = {}, {leaving}, 0
  while now < sale.ends and sale.left > 0 do
    local first = redis.call('ZRANGE', KEYS[3], rank, rank)[1]
    if first ~= leaving or not first then
      local ticket = first and redis.call('HGET', KEYS[4], first)
      local number, units, order = string.match(ticket or '', '^(%d+) (%d+) (%S+)$')
      if not number or tonumber(units) > sale.left then
        break
      end
      gone[#gone + 1] = first
      sale.left, sale.sold = sale.left - units, sale.sold + units
      local have = redis.call('HINCRBY', KEYS[2], first, units)
      redis.call('HSET', KEYS[2], first .. ':' .. order, string.format('%d %d %d', units, sale.left, have))
      served[#served + 1] = first .. ':' .. order .. ':' .. number .. ':' .. units
    end
    rank = rank + 1
  end
  redis.call('HSET', KEYS[1], 'left', sale.left, 'sold', sale.sold)
  -- They leave the line last, and the line is not touched again: without anybody in it its keys are gone, and while their
  -- slot moves a script that asks for a key which is gone fails in its middle.
  for first = 1, #gone, 1000 do
    local last = math.min(first + 999, #gone)
    redis.call('ZREM', KEYS[3], unpack(gone, first, last))
    redis.call('HDEL', KEYS[4], unpack(gone, first, last))
  end
  return served
end
