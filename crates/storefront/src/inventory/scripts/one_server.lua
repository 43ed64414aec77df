-- What others read of all products: on one server the same script writes it.
--
-- KEYS[5] the list of updates, KEYS[6] the low-stock alerts, KEYS[7] the products by when something of them is due
abroad = {index = true}

-- Fails on a key of another type before anything is written. (The list needs no look: it is written first.)
function abroad.look(alerts, due)
  if alerts then
    redis.call('ZCARD', KEYS[6])
  end
  if due then
    redis.call('ZCARD', KEYS[7])
  end
end

function abroad.tell(stock, low, crossed, due)
  if #stock.entries > 0 and redis.call('LPUSH', KEYS[5], unpack(stock.entries)) > keeps + SLACK then
    redis.call('LTRIM', KEYS[5], 0, keeps - 1)
  end
  if low then
    redis.call('ZADD', KEYS[6], integer(stock.free), product)
  elseif crossed then
    redis.call('ZREM', KEYS[6], product)
  end
  if due then
    redis.call('ZADD', KEYS[7], integer(due), product)
  end
end

-- When the sweeper has to come again; nil if there is nothing to come for.
function abroad.next_due(due)
  if due then
    redis.call('ZADD', KEYS[7], integer(due), product)
    redis.call('HSET', KEYS[2], 'due', integer(due))
  else
    redis.call('ZREM', KEYS[7], product)
    redis.call('HDEL', KEYS[2], 'due')
  end
end

function abroad.waiting()
  return 0
end
