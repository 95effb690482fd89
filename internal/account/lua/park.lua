-- ARGV: session, ms that it stays parked, ms after which it is forgotten. Answers in how many rings
-- it was. What of it is in the stock leaves that: it goes no further now, and others can.
local session, prefix = ARGV[1], ARGV[1] .. '.'
local left = 0
for _, field in ipairs(redis.call('HKEYS', META)) do
  local kind = string.match(field, '^weight:(.*)$')
  local r = kind and ring(kind)
  local m = r and member(r, session)
  if m then
    redis.call('ZREM', r.sessions, session)
    redis.call('ZREM', r.out, session)
    redis.call('HDEL', r.of, session)
    weigh(r, -m.weight)
    left = left + 1
  end
end
for _, item in ipairs(redis.call('ZRANGE', STOCK, 0, -1)) do
  if string.sub(item, 1, #prefix) == prefix then redis.call('ZREM', STOCK, item) end
end
redis.call('ZREMRANGEBYSCORE', PARKED, '-inf', number(t - tonumber(ARGV[3])))
redis.call('ZADD', PARKED, number(t + tonumber(ARGV[2])), session)
redis.call('PEXPIRE', PARKED, number(tonumber(ARGV[2]) + tonumber(ARGV[3])))
return left
