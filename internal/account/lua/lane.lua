-- The rate of one endpoint. Gone holds the true stamps of one window; turns the entries that
-- have a turn and have not gone, in their order. A turn is a plan: only stamps decide.

-- missed is how late an entry may be before the others count on it no more, in ms.
local missed = 5000

-- lane is an endpoint and its rate, n requests in any per ms; n 0 is no limit.
local function lane(endpoint, n, per)
  local l = {n = tonumber(n), per = tonumber(per), turns = key('turns', endpoint), gone = key('gone', endpoint)}
  if l.n > 0 then
    redis.call('ZREMRANGEBYSCORE', l.gone, '-inf', number(t - l.per))
    l.count = redis.call('ZCARD', l.gone)
  end
  return l
end

-- permit is when the k-th request from now may go, counted from 0, if all before it go as soon
-- as they may: each a window after the n-th before it.
local function permit(l, k)
  local turn = k % l.n
  local at, before = t, l.count + turn - l.n
  if before >= 0 then
    at = math.max(t, score(redis.call('ZRANGE', l.gone, before, before, 'WITHSCORES')[2]) + l.per)
  end
  return at + (k - turn) / l.n * l.per
end

-- expected is how many have a turn and may still come for it.
local function expected(l)
  if l.n == 0 then return 0 end
  return redis.call('ZCOUNT', l.turns, number(t - missed), '+inf')
end

-- open is how many more turns there are within ahead ms, beside those of the expected.
local function open(l, ahead)
  local rest = ahead % l.per
  local soon = l.n - redis.call('ZCOUNT', l.gone, '(' .. number(t + rest - l.per), '+inf')
  return (ahead - rest) / l.per * l.n + math.max(0, soon) - expected(l)
end

-- wait is how long an entry must wait, 0 when it may go now. When its turn has come it takes
-- whatever is free, so that who is late costs nobody anything; before its turn it leaves to
-- those ahead what they need. Its place is kept while it waits.
local function wait(l, entry)
  if l.n == 0 then return 0 end
  local free, turn = l.n - l.count, score(redis.call('ZSCORE', l.turns, entry))
  if not turn then
    turn = permit(l, expected(l))
    redis.call('ZADD', l.turns, number(turn), entry)
  end
  if free > 0 and turn <= t then return 0 end
  if turn < t - missed then
    turn = t
    redis.call('ZADD', l.turns, number(turn), entry)
  end
  local ahead = redis.call('ZRANK', l.turns, entry) - redis.call('ZCOUNT', l.turns, '-inf', '(' .. number(t - missed))
  if free > ahead then return 0 end
  local at = permit(l, ahead)
  if free > 0 then at = math.min(at, turn) end
  return at - t
end
