-- ARGV: kind, rate, its window in ms, slots, stock (0: any number), how far ahead in ms, how many
-- at most, '1' when it needs slots and turns, ms it may stay out.
-- Answers {'ok', session, allowed, weight, parked?}, {'empty'}, {'away', ms}, {'closed', …}, {'full'},
-- {'busy', ms} or {'stocked'}.
local r, slots, stock = ring(ARGV[1]), tonumber(ARGV[4]), tonumber(ARGV[5])

-- Whoever picked these is gone.
for _, session in ipairs(redis.call('ZRANGEBYSCORE', r.out, '-inf', number(t), 'LIMIT', 0, 100)) do
  redis.call('ZREM', r.out, session)
  local m = member(r, session)
  queue(r, session, {weight = m.weight, pass = m.pass})
end

local first = redis.call('ZRANGE', r.sessions, 0, 1, 'WITHSCORES')
if #first == 0 then
  local away = redis.call('ZRANGE', r.out, 0, 0, 'WITHSCORES')
  if #away == 0 then return {'empty'} end
  return {'away', score(away[2]) - t}
end

local room, p = tonumber(ARGV[7]), pause(r.kind)
if bars(p, '') then return {'closed', closed(p)} end
if p then room = 1 end
if stock > 0 then
  local places = stock - redis.call('ZCARD', STOCK)
  if places <= 0 then return {'stocked'} end
  room = math.min(room, places)
end
if ARGV[8] == '1' then
  if slots > 0 then
    local free = slots - redis.call('ZCARD', SLOTS)
    if free <= 0 then return {'full'} end
    room = math.min(room, free)
  end
  local l = lane(r.kind, ARGV[2], ARGV[3])
  if l.n > 0 then
    local turns = open(l, tonumber(ARGV[6]))
    if turns <= 0 then return {'busy', permit(l, expected(l)) - t} end
    room = math.min(room, turns)
  end
end

-- Its share: until it is no longer the least, or its part of the room by weight, whichever is
-- more. Neither is more than serving the room one by one would give it.
local session = first[1]
local m = member(r, session)
local all = tonumber(redis.call('HGET', META, 'weight:' .. r.kind))
local share = math.floor(room * m.weight / all)
local lead = first[4] and math.floor((score(first[4]) - score(first[2])) * m.weight / scale) + 1 or room
local allowed = math.min(room, math.max(share, lead))
redis.call('HSET', META, 'virtual:' .. r.kind, number(math.max(virtual(r), m.pass)))
redis.call('ZREM', r.sessions, session)
redis.call('ZADD', r.out, number(t + tonumber(ARGV[9])), session)
return {'ok', session, allowed, m.weight, redis.call('ZSCORE', PARKED, session) and 1 or 0}
