-- ARGV: places, lease in ms, then items. Answers how many of them, from the first, have one.
local places, till = tonumber(ARGV[1]), number(t + tonumber(ARGV[2]))
local used = redis.call('ZCARD', STOCK)
for n = 3, #ARGV do
  if not redis.call('ZSCORE', STOCK, ARGV[n]) then
    if used >= places then return n - 3 end
    used = used + 1
  end
  redis.call('ZADD', STOCK, till, ARGV[n])
end
return #ARGV - 2
