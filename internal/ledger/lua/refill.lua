-- ARGV: balance. Answers 1 when this ended the drought.
local balance, need = tonumber(ARGV[1]), tonumber(redis.call('HGET', BOOK, 'dry_need') or '')
if not need or balance < need or balance <= 0 then return 0 end
redis.call('HDEL', BOOK, 'dry_until', 'dry_need')
return 1
