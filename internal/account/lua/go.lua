-- ARGV: endpoint, rate, its window in ms, lease in ms, entry.
-- Answers {'go', canary?}, {'wait', canary?, ms}, {'closed', …} or {'missing'}.
local endpoint, lease, entry = ARGV[1], tonumber(ARGV[4]), ARGV[5]
local mine = holder(entry)
if not mine or mine.endpoint ~= endpoint then return {'missing'} end
local p = pause(endpoint)
if bars(p, entry) then
  if mine.gone == 0 then surrender(entry) end
  return {'closed', closed(p)}
end
if p and p.canary ~= entry then
  p.canary = entry
  keep(p)
end
local canary = p and 1 or 0
local l = lane(endpoint, ARGV[2], ARGV[3])
local ms = wait(l, entry)
if ms > 0 then
  redis.call('ZADD', SLOTS, number(t + ms + lease), entry)
  return {'wait', canary, ms}
end
local sent = redis.call('HINCRBY', META, 'sent:' .. endpoint, 1)
if l.n > 0 then
  redis.call('ZREM', l.turns, entry)
  redis.call('ZADD', l.gone, number(stamp), sent)
  redis.call('PEXPIRE', l.gone, number(2 * l.per))
end
hold(entry, endpoint, t, t + lease)
return {'go', canary}
