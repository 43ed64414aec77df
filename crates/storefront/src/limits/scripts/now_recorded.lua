-- The time of a recorded request, in microseconds: the last of ARGV.
local now = tonumber(ARGV[#ARGV])

