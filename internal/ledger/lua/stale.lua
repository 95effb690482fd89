-- ARGV: how many at most, ms until what is listed is listed again.
-- Answers entry, mark, amount of each.
local t = now()
local listed = {}
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', DUE, '-inf', number(t), 'LIMIT', 0, tonumber(ARGV[1]))) do
  local open = read(redis.call('HGET', OPEN, entry))
  redis.call('ZADD', DUE, number(t + tonumber(ARGV[2])), entry)
  listed[#listed + 1] = entry
  listed[#listed + 1] = open.head
  listed[#listed + 1] = number(open.amount)
end
return listed
