-- ARGV: entry, ms until it should be looked at. Only one that is open.
return redis.call('ZADD', DUE, 'XX', number(now() + tonumber(ARGV[2])), ARGV[1])
