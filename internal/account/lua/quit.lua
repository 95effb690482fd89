-- ARGV: session. Answers in how many rings it was.
local left = 0
for _, field in ipairs(redis.call('HKEYS', META)) do
  local kind = string.match(field, '^weight:(.*)$')
  local r = kind and ring(kind)
  local m = r and member(r, ARGV[1])
  if m then
    redis.call('ZREM', r.sessions, ARGV[1])
    redis.call('ZREM', r.out, ARGV[1])
    redis.call('HDEL', r.of, ARGV[1])
    weigh(r, -m.weight)
    left = left + 1
  end
end
return left
