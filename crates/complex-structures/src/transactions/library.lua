#!lua name=redislab_bank
-- Moves money if the payer has enough, in one step.
local function transfer(keys, args)
  local balance = redis.call('GET', keys[1]) or 0
  if tonumber(balance) < tonumber(args[1]) then
    return 0
  end
  redis.call('DECRBY', keys[1], args[1])
  redis.call('INCRBY', keys[2], args[1])
  return 1
end
redis.register_function('redislab_transfer', transfer)
