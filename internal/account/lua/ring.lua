-- The sessions that wait for a kind of work. A session's pass is how much it was served, in
-- millionths of an item, over its weight. A ring is ordered by the pass at the middle of the
-- next item, so that rounding favours neither the light nor the heavy: the least is next. Who was
-- picked is out until it comes back, or its lease ends. Past are those that left with more than
-- the others had: they start there if they come back too soon.
local scale = 1000000

local function ring(kind)
  return {kind = kind, sessions = key('ring', kind), out = key('out', kind), of = key('of', kind), past = key('past', kind)}
end

-- weigh changes the sum of the weights of all who wait or are out. When nobody does, time begins
-- anew: there is nobody to be ahead of.
local function weigh(r, by)
  if redis.call('HINCRBY', META, 'weight:' .. r.kind, by) == 0 then
    redis.call('HDEL', META, 'weight:' .. r.kind, 'virtual:' .. r.kind)
    redis.call('DEL', r.past)
  end
end

-- member is a session of a ring: its weight, its pass, whether it joined again while it was out.
local function member(r, session)
  local stored = redis.call('HGET', r.of, session)
  if not stored then return nil end
  local weight, pass, again = string.match(stored, '^(%d+)|(%d+)|(%d)$')
  return {weight = tonumber(weight), pass = tonumber(pass), again = again == '1'}
end

local function enroll(r, session, m)
  redis.call('HSET', r.of, session, table.concat({number(m.weight), number(m.pass), m.again and '1' or '0'}, '|'))
end

local function half(weight)
  return math.floor(scale / weight / 2)
end

-- queue puts a member among those who wait, at its pass.
local function queue(r, session, m)
  redis.call('ZADD', r.sessions, number(m.pass + half(m.weight)), session)
  enroll(r, session, m)
end

-- virtual is the ring's time: the pass of whoever was picked last.
local function virtual(r)
  return tonumber(redis.call('HGET', META, 'virtual:' .. r.kind) or 0)
end
