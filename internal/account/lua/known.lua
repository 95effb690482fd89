-- KEYS: what is known, when it was announced, who is draining, who is denied. ARGV: for how many seconds an
-- announcement holds. Answers {account, what is known, when in seconds, draining?, denied?} of each.
local list = {}
local clock = redis.call('TIME')
local since, now = clock[1] - tonumber(ARGV[1]), clock[1] * 1000 + math.floor(clock[2] / 1000)
local function denied(account)
  local till = string.match(redis.call('HGET', KEYS[4], account) or '', '^(%d+)|')
  return till and tonumber(till) > now and 1 or 0
end
local seen = redis.call('ZRANGEBYSCORE', KEYS[2], string.format('(%.0f', since), '+inf', 'WITHSCORES')
for n = 1, #seen, 2 do
  local known = redis.call('HGET', KEYS[1], seen[n])
  if known then
    list[#list + 1] = {seen[n], known, seen[n + 1], redis.call('SISMEMBER', KEYS[3], seen[n]), denied(seen[n])}
  end
end
return list
