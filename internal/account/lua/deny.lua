-- KEYS: who is denied. ARGV: account, ms, '1' when its key is refused whatever it is used for, why.
-- What is known of its key stays known: a request says less than the key alone.
local clock = redis.call('TIME')
local till = clock[1] * 1000 + math.floor(clock[2] / 1000) + tonumber(ARGV[2])
local before = redis.call('HGET', KEYS[1], ARGV[1])
local key = ARGV[3] == '1' or (before and string.match(before, '^%d+|1|') ~= nil)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', till) .. '|' .. (key and '1' or '0') .. '|' .. ARGV[4])
return 1
