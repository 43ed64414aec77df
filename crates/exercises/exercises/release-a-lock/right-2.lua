if (redis.call("GET", KEYS[1]) or "") == ARGV[1] then
  redis.call("PEXPIRE", KEYS[1], 0)
  return 1
else
  return 0
end
