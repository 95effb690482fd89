-- ARGV: lease in ms, how many of the names are entries, then those and items of the stock.
local till, entries = number(t + tonumber(ARGV[1])), tonumber(ARGV[2])
for n = 3, #ARGV do
  redis.call('ZADD', n - 2 <= entries and SLOTS or STOCK, 'XX', till, ARGV[n])
end
return 1
