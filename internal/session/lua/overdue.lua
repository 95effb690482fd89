-- ARGV: how many at most. The indexes that the sweep should look at now, and the completions
-- that are owed for longer than ten seconds. Answers {ms, ready?, canceled?, indexes, completions, complete?,
-- how many wait for their upload, for their extend, spec, priority}: the last two when any wait.
local t = now()
local owed = {}
local outbox = redis.call('HGETALL', OUTBOX)
for a = 1, #outbox, 2 do
  if tonumber(outbox[a + 1]) < t - 10000 then owed[#owed + 1] = outbox[a] end
end
local over = redis.call('HEXISTS', SESSION, 'sealed') == 1
  and redis.call('HLEN', RESULTS) == redis.call('HLEN', ITEMS) and #outbox == 0
local uploads, extends, told = redis.call('ZCARD', KEYS[9]), redis.call('ZCARD', KEYS[10]), {}
if uploads + extends > 0 then told = redis.call('HMGET', SESSION, 'spec', 'priority') end
return {
  number(t),
  redis.call('HEXISTS', SESSION, 'ready'),
  redis.call('HEXISTS', SESSION, 'canceled'),
  redis.call('ZRANGEBYSCORE', DUE, '-inf', number(t), 'LIMIT', 0, tonumber(ARGV[1])),
  owed,
  over and 1 or 0,
  uploads,
  extends,
  told[1] or '',
  told[2] or '',
}
