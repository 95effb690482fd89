-- ARGV: ms until the sweep should look, then indexes. Only indexes that it looks at anyway.
-- Answers what was reported of the first of them, or nothing.
local t = now()
for a = 2, #ARGV do redis.call('ZADD', DUE, 'XX', number(t + tonumber(ARGV[1])), ARGV[a]) end
return redis.call('HGET', KEYS[8], ARGV[2]) or ''
