-- ARGV: session, what it was thought to have spent, what it has spent.
-- Answers 1 when that is now what the books say.
local session, was, total = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local spent = tonumber(redis.call('HGET', BOOK, 'spent/session/' .. session) or 0)
if spent == total then return 1 end
if spent ~= was or redis.call('HEXISTS', PAST, 'open') == 1 then return 0 end
add('spent', {'account', 'session/' .. session}, total - was)
moved()
return 1
