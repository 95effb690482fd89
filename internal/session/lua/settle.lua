-- ARGV: completion. Records that what follows it was done; only the first caller is told so.
-- Answers {first?, number of completions still owed}.
local first = redis.call('HDEL', OUTBOX, ARGV[1])
if first == 1 then redis.call('HINCRBY', SESSION, 'settled', 1) end
return {first, redis.call('HLEN', OUTBOX)}
