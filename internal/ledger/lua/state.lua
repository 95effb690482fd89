-- Answers {ms, number of open entries, and the account's fields in the order asked for}.
local day = 'day/' .. today()
local values = redis.call('HMGET', BOOK, 'moves',
  'spent/account', 'reserved/account', 'refunded/account',
  'spent/' .. day, 'reserved/' .. day, 'refunded/' .. day,
  'balance', 'balance_at', 'dry_until', 'dry_need')
local answer = {number(now()), redis.call('HLEN', OPEN)}
for n = 1, #values do answer[n + 2] = values[n] or '0' end
return answer
