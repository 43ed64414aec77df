-- The quantities of a cart as a Hash: field = SKU, value = quantity.
local quantities = {
  type = 'hash',
  all = function(key) return redis.call('HGETALL', key) end,
  put = function(key, sku, quantity) redis.call('HSET', key, sku, quantity) end,
  remove = 'HDEL',
}
