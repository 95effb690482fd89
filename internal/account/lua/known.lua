-- KEYS: what is known, when it was announced, who is draining. ARGV: for how many seconds an
-- announcement holds. Answers {account, what is known, when in seconds, draining?} of each.
local list = {}
local since = redis.call('TIME')[1] - tonumber(ARGV[1])
local seen = redis.call('ZRANGEBYSCORE', KEYS[2], string.format('(%.0f', since), '+inf', 'WITHSCORES')
for n = 1, #seen, 2 do
  local known = redis.call('HGET', KEYS[1], seen[n])
  if known then list[#list + 1] = {seen[n], known, seen[n + 1], redis.call('SISMEMBER', KEYS[3], seen[n])} end
end
return list
