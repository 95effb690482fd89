-- ARGV: first index, or '' to append; ms until the sweep should look;
-- then per item: its key ('' for none), its label, its JSON.
-- An index or a key that is there already is left as it is.
-- Answers {refusal} or, per item, the index it has; negative minus one when it was there before.
if redis.call('HEXISTS', SESSION, 'spec') == 0 then return {'missing'} end
if redis.call('HEXISTS', SESSION, 'canceled') == 1 then return {'canceled'} end
local sealed = redis.call('HEXISTS', SESSION, 'sealed') == 1
local t = now()
local at = ARGV[1] ~= '' and tonumber(ARGV[1]) or nil
local answers, added = {'ok'}, {}
for a = 3, #ARGV, 3 do
  local key, label, body = ARGV[a], ARGV[a + 1], ARGV[a + 2]
  local known = key ~= '' and redis.call('HGET', IDS, key)
  local index = known or at or redis.call('HLEN', ITEMS)
  if known or redis.call('HEXISTS', ITEMS, index) == 1 then
    answers[#answers + 1] = -tonumber(index) - 1
  elseif sealed then
    return {'sealed'}
  else
    redis.call('HSET', ITEMS, index, '1|' .. label .. '|' .. number(t) .. '|' .. body)
    redis.call('ZADD', DUE, number(t + tonumber(ARGV[2])), index)
    if key ~= '' then redis.call('HSET', IDS, key, index) end
    added[label] = (added[label] or 0) + 1
    answers[#answers + 1] = tonumber(index)
  end
  if at then at = at + 1 end
end
for label, n in pairs(added) do redis.call('HINCRBY', COUNTS, label, n) end
return answers
