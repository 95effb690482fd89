-- KEYS: the index. ARGV: how many. Answers the names of the schedules whose time to be looked
-- at has come, longest due first.
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
