local mine = redis.call('GET', KEYS[1]) == ARGV[1]
if mine then redis.call('PSETEX', KEYS[1], ARGV[2], ARGV[1]) end
return mine and 1 or 0
