-- What others read of all products: on a cluster it is in another slot. What is to be written there waits in the product's
-- outbox, oldest first.
--
-- KEYS[5] the outbox
abroad = {}

-- The outbox needs no look: it is written first.
function abroad.look() end

function abroad.tell(stock)
  if #stock.entries > 0 and redis.call('RPUSH', KEYS[5], unpack(stock.entries)) > keeps + SLACK then
    -- The list that they are for would not keep more. Alerts are not lost by this: they are read from the ledger.
    redis.call('LTRIM', KEYS[5], -keeps, -1)
  end
end

function abroad.next_due() end

function abroad.waiting()
  return redis.call('LLEN', KEYS[5])
end
