-- The quantities of a cart as a Sorted Set: member = SKU, score = quantity.
local quantities = {
  type = 'zset',
  all = function(key) return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end,
  put = function(key, sku, quantity) redis.call('ZADD', key, quantity, sku) end,
  remove = 'ZREM',
}
