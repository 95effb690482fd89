-- ARGV: kind, session, weight. Answers {somebody waits?, admissions begun}.
local r, session, weight = ring(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local m = member(r, session)
if m then
  if weight ~= m.weight then weigh(r, weight - m.weight) end
  m.weight = weight
  m.again = m.again or not redis.call('ZSCORE', r.sessions, session)
  enroll(r, session, m)
  return {demand()}
end
local pass = math.max(virtual(r), head(r) or 0, tonumber(redis.call('ZSCORE', r.past, session) or 0))
redis.call('ZREM', r.past, session)
redis.call('ZADD', r.sessions, number(pass), session)
enroll(r, session, {weight = weight, pass = pass})
weigh(r, weight)
return {demand()}
