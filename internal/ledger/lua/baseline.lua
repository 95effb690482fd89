-- ARGV: balance, moves. Kept only if nothing has moved since and nothing is open: then
-- nothing was open when the balance was asked for, or since. Answers 1 when it was kept.
local moves = tonumber(redis.call('HGET', BOOK, 'moves') or 0)
if moves ~= tonumber(ARGV[2]) or redis.call('HLEN', OPEN) > 0 then return 0 end
redis.call('HSET', BOOK, 'base', ARGV[1], 'base_at', number(now()), 'base_moves', number(moves))
return 1
