-- ARGV: label of the step, then indexes. Puts items that were admitted, and are still queued at
-- that step, back into the backlog: there was no room for them after all.
local backlog = BACKLOG[ARGV[1]]
if redis.call('HEXISTS', SESSION, 'canceled') == 1 then return 0 end
for a = 2, #ARGV do
  local _, label = header(redis.call('HGET', ITEMS, ARGV[a]) or '')
  if label == ARGV[1] then
    redis.call('ZREM', DUE, ARGV[a])
    redis.call('ZADD', backlog, ARGV[a], ARGV[a])
  end
end
return #ARGV - 1
