-- ARGV: kind, session, weight. Answers {somebody waits?, admissions begun}.
local r, session, weight = ring(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local parked = score(redis.call('ZSCORE', PARKED, session))
if parked and parked > t then return {demand()} end
local m = member(r, session)
if m then
  if weight ~= m.weight then weigh(r, weight - m.weight) end
  m.weight = weight
  if redis.call('ZSCORE', r.sessions, session) then
    queue(r, session, m)
  else
    m.again = true
    enroll(r, session, m)
  end
  return {demand()}
end
local pass = math.max(virtual(r), score(redis.call('ZSCORE', r.past, session)) or 0)
local next = redis.call('ZRANGE', r.sessions, 0, 0)[1]
if next then pass = math.max(pass, member(r, next).pass) end
redis.call('ZREM', r.past, session)
queue(r, session, {weight = weight, pass = pass})
weigh(r, weight)
return {demand()}
