-- Adds up the salaries of the members of a Set.
-- KEYS: Set of user numbers, Sorted Set of all salaries
-- Returns the sum and how many salaries it has.
local numbers = redis.call('SMEMBERS', KEYS[1])
local sum, count = 0, 0
for _, number in ipairs(numbers) do
  local salary = redis.call('ZSCORE', KEYS[2], number)
  if salary then
    sum = sum + tonumber(salary)
    count = count + 1
  end
end
return {sum, count}
