-- ARGV: scope; 'day' is today. Answers {spent, reserved, refunded}.
local scope = ARGV[1] == 'day' and 'day/' .. today() or ARGV[1]
local values = redis.call('HMGET', BOOK, 'spent/' .. scope, 'reserved/' .. scope, 'refunded/' .. scope)
return {values[1] or '0', values[2] or '0', values[3] or '0'}
