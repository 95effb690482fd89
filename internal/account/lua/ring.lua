-- The sessions that wait for a kind of work. A ring is ordered by pass: how much a session was
-- served, in millionths of an item, over its weight. Who is the least is next. Who was picked is
-- out until it comes back, or its lease ends. Past are those that left with more than the others
-- had: they start there if they come back too soon.
local scale = 1000000

local function ring(kind)
  return {kind = kind, sessions = key('ring', kind), out = key('out', kind), of = key('of', kind), past = key('past', kind)}
end

-- weigh changes the sum of the weights of all who wait or are out; none has no field.
local function weigh(r, by)
  if redis.call('HINCRBY', META, 'weight:' .. r.kind, by) == 0 then redis.call('HDEL', META, 'weight:' .. r.kind) end
end

-- member is a session of a ring: its weight, its pass while it is out, whether it joined meanwhile.
local function member(r, session)
  local stored = redis.call('HGET', r.of, session)
  if not stored then return nil end
  local weight, pass, again = string.match(stored, '^(%d+)|(%d+)|(%d)$')
  return {weight = tonumber(weight), pass = tonumber(pass), again = again == '1'}
end

local function enroll(r, session, m)
  redis.call('HSET', r.of, session, table.concat({number(m.weight), number(m.pass), m.again and '1' or '0'}, '|'))
end

-- head is the least pass of those who wait, nil when none does.
local function head(r)
  local first = redis.call('ZRANGE', r.sessions, 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2])
end

-- virtual is the ring's time: the pass of whoever was picked last. It never goes back.
local function virtual(r)
  return tonumber(redis.call('HGET', META, 'virtual:' .. r.kind) or 0)
end

local function advance(r, pass)
  if pass > virtual(r) then redis.call('HSET', META, 'virtual:' .. r.kind, number(pass)) end
end
