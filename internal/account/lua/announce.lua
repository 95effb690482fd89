-- KEYS: what is known, when it was announced. ARGV: accounts and what is known of each.
local clock = redis.call('TIME')
for n = 1, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[n], ARGV[n + 1])
  redis.call('ZADD', KEYS[2], clock[1], ARGV[n])
end
return #ARGV / 2
