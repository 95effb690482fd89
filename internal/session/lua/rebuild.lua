-- ARGV: first index, how many, ms until the sweep should look.
-- Items that have not ended, and are not held, get a due entry if they have none: the sweep
-- looks at nothing else. Label and entry are one step, so that none is left behind an end.
-- Answers {number of entries written, items as stored}.
local indexes = {}
for n = 1, tonumber(ARGV[2]) do indexes[n] = number(tonumber(ARGV[1]) + n - 1) end
local stored = redis.call('HMGET', ITEMS, unpack(indexes))
local due, added = number(now() + tonumber(ARGV[3])), 0
for n = 1, #indexes do
  if stored[n] then
    local _, label = header(stored[n])
    local state = string.match(label, '%.(.*)$')
    if state and state ~= 'held' then added = added + redis.call('ZADD', DUE, 'NX', due, indexes[n]) end
  end
end
return {added, stored}
