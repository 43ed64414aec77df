-- refused: number 9 wrote after number 10
redis.call('HSET', KEYS[1], 'number', ARGV[1], 'text', ARGV[2])
return 1
