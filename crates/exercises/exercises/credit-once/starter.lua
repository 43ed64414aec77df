-- KEYS[1]: the balance. KEYS[2]: the request. ARGV[1]: the amount in cents. ARGV[2]: how long to remember, in milliseconds.
return redis.call('INCRBY', KEYS[1], ARGV[1])
