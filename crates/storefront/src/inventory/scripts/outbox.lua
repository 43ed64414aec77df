-- What waits in a product's outbox, and where its alert stands: the units free while it is raised, otherwise ''.
--
-- KEYS: free units, ledger, outbox
local free = redis.call('GET', KEYS[1])
local row = redis.call('HMGET', KEYS[2], 'changes', 'alert')
local alert = row[2] == 'raised' and free or ''
return {'OUTBOX', row[1] or '0', alert, redis.call('LRANGE', KEYS[3], 0, -1)}
