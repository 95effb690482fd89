-- ARGV: first index, or '' to append; ms until the sweep should look;
-- then per item: its key ('' for none), its label, its JSON.
-- An index or a key that is there already is left as it is. Items wait in the session until
-- they are admitted; the sweep looks at those whose step needs no admission.
-- Answers {refusal} or, per item, the index it has; negative minus one when it was there before.
-- One read and one write of each kind for the whole batch: calls cost more than what they do.
if redis.call('HEXISTS', SESSION, 'spec') == 0 then return {'missing'} end
if redis.call('HEXISTS', SESSION, 'canceled') == 1 then return {'canceled'} end
local sealed = redis.call('HEXISTS', SESSION, 'sealed') == 1
local count = (#ARGV - 2) / 3
local at = ARGV[1] ~= '' and tonumber(ARGV[1]) or nil
local last = redis.call('HLEN', ITEMS)

local ids, indexes = {}, {}
for n = 1, count do
  if ARGV[3 * n] ~= '' then ids[#ids + 1] = ARGV[3 * n] end
  if at then indexes[n] = at + n - 1 end
end
local known = {}
if #ids > 0 then
  for n, index in ipairs(redis.call('HMGET', IDS, unpack(ids))) do known[ids[n]] = index end
end
local there = {}
if #indexes > 0 then there = redis.call('HMGET', ITEMS, unpack(indexes)) end

local t = now()
local stamp, due = number(t), number(t + tonumber(ARGV[2]))
local answers, added = {'ok'}, {}
local items, looks, names = {}, {}, {}
for n = 1, count do
  local key, label, body = ARGV[3 * n], ARGV[3 * n + 1], ARGV[3 * n + 2]
  local index = (key ~= '' and known[key]) or indexes[n] or last
  if (key ~= '' and known[key]) or there[n] then
    answers[n + 1] = -tonumber(index) - 1
  elseif sealed then
    return {'sealed'}
  else
    items[#items + 1] = index
    items[#items + 1] = '1|' .. label .. '|' .. stamp .. '|' .. body
    local list, score = DUE, due
    if BACKLOG[label] then list, score = BACKLOG[label], index end
    looks[list] = looks[list] or {}
    table.insert(looks[list], score)
    table.insert(looks[list], index)
    if key ~= '' then
      names[#names + 1] = key
      names[#names + 1] = index
      known[key] = index
    end
    added[label] = (added[label] or 0) + 1
    answers[n + 1] = tonumber(index)
    last = last + 1
  end
end
if #items > 0 then
  redis.call('HSET', ITEMS, unpack(items))
  for list, members in pairs(looks) do redis.call('ZADD', list, unpack(members)) end
end
if #names > 0 then redis.call('HSET', IDS, unpack(names)) end
for label, n in pairs(added) do redis.call('HINCRBY', COUNTS, label, n) end
return answers
