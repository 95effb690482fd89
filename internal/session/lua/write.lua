-- ARGV: index, expected epoch, label, JSON, ms until the sweep should look ('' for never),
-- result JSON ('' for none), claim ('1' when this write claims a step), backlog ('1' when the
-- item waits in its session until it is admitted: then the sweep does not look at it).
-- Answers {'ok', epoch, ms, completion or 0}, {'conflict', stored}, {'missing'} or {'canceled'}.
local index = ARGV[1]
local stored = redis.call('HGET', ITEMS, index)
if not stored then return {'missing'} end
local epoch, label = header(stored)
if epoch ~= tonumber(ARGV[2]) then return {'conflict', stored} end
-- After a cancel nothing is claimed any more: this is what makes it one write.
if ARGV[7] == '1' and redis.call('HEXISTS', SESSION, 'canceled') == 1 then return {'canceled'} end
local t = now()
redis.call('HSET', ITEMS, index, number(epoch + 1) .. '|' .. ARGV[3] .. '|' .. number(t) .. '|' .. ARGV[4])
if label ~= ARGV[3] then
  if redis.call('HINCRBY', COUNTS, label, -1) <= 0 then redis.call('HDEL', COUNTS, label) end
  redis.call('HINCRBY', COUNTS, ARGV[3], 1)
end
if BACKLOG[label] then redis.call('ZREM', BACKLOG[label], index) end
local waits = ARGV[8] == '1' and BACKLOG[ARGV[3]]
-- In a canceled session nothing is admitted: the sweep writes the item down as canceled.
if waits and redis.call('HEXISTS', SESSION, 'canceled') == 0 then
  redis.call('ZADD', waits, index, index)
  redis.call('ZREM', DUE, index)
elseif ARGV[5] == '' then
  redis.call('ZREM', DUE, index)
else
  redis.call('ZADD', DUE, number(t + tonumber(ARGV[5])), index)
end
local completion = 0
if ARGV[6] == '' then
  redis.call('HDEL', RESULTS, index)
elseif redis.call('HSET', RESULTS, index, ARGV[6]) == 1 then
  completion = complete()
end
return {'ok', epoch + 1, number(t), completion}
