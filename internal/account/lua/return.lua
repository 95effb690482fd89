-- ARGV: kind, session, weight, how many were served, '1' when more wait.
-- Answers 1 when the session was out. One that is not is parked, or came back by itself.
local r, session, weight, served = ring(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if redis.call('ZREM', r.out, session) == 0 then return 0 end
local m = member(r, session)
if weight ~= m.weight then weigh(r, weight - m.weight) end
local pass = m.pass + math.floor(served * scale / weight + 0.5)
redis.call('ZREMRANGEBYSCORE', r.past, '-inf', number(virtual(r)))
if ARGV[5] == '1' or m.again then
  -- Who could use nothing lets another go first.
  local next = redis.call('ZRANGE', r.sessions, 0, 0, 'WITHSCORES')[2]
  if served == 0 and next then pass = math.max(pass, score(next) + 1) end
  queue(r, session, {weight = weight, pass = pass})
  return 1
end
redis.call('HDEL', r.of, session)
redis.call('ZADD', r.past, number(pass), session)
weigh(r, -weight)
return 1
