-- ARGV: balance, what was spent when it was asked for ('' when that is now), how many to keep.
-- Answers {id, spent, reserved, floor}. A refund that became known meanwhile may have
-- brought what was spent below what it was: the floor is the lower of the two.
local values = redis.call('HMGET', BOOK, 'spent/account', 'reserved/account')
local spent, reserved = values[1] or '0', values[2] or '0'
local floor = number(math.min(tonumber(spent), tonumber(ARGV[2]) or tonumber(spent)))
redis.call('HSET', BOOK, 'balance', ARGV[1], 'balance_at', number(now()))
local id = redis.call('XADD', READINGS, 'MAXLEN', '~', ARGV[3], '*',
  'balance', ARGV[1], 'spent', spent, 'reserved', reserved, 'floor', floor)
return {id, spent, reserved, floor}
