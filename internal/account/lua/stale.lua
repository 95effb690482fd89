-- ARGV: how many at most, ms until what is listed is listed again.
-- Answers {entries, items of the stock}.
local rest, again = tonumber(ARGV[1]), number(t + tonumber(ARGV[2]))
local function overdue(leases)
  local list = redis.call('ZRANGEBYSCORE', leases, '-inf', number(t), 'LIMIT', 0, rest)
  for _, name in ipairs(list) do redis.call('ZADD', leases, again, name) end
  rest = rest - #list
  return list
end
local slots = overdue(SLOTS)
return {slots, rest > 0 and overdue(STOCK) or {}}
