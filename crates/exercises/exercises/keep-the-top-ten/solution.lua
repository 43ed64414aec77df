-- KEYS[1]: the leaderboard. ARGV[1]: the player. ARGV[2]: the score.
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -11)
local place = redis.call('ZREVRANK', KEYS[1], ARGV[1])
return place and place + 1 or 0
