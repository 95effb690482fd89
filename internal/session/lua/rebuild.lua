-- ARGV: first index, how many, ms until the sweep should look.
-- Items that have not ended, and are not held, wait in their session or have a due entry: the
-- sweep looks at nothing else. One that has neither is put where it waits, or gets an entry.
-- Label and entry are one step, so that none is left behind an end.
-- Answers {number of entries written, items as stored, per item whether it waits}.
local indexes = {}
for n = 1, tonumber(ARGV[2]) do indexes[n] = number(tonumber(ARGV[1]) + n - 1) end
local stored = redis.call('HMGET', ITEMS, unpack(indexes))
local due, added, waits = number(now() + tonumber(ARGV[3])), 0, {}
for n = 1, #indexes do
  waits[n] = 0
  if stored[n] then
    local _, label = header(stored[n])
    local state = string.match(label, '%.(.*)$')
    if state and state ~= 'held' and not redis.call('ZSCORE', DUE, indexes[n]) then
      local list, score = BACKLOG[label], indexes[n]
      if list then waits[n] = 1 else list, score = DUE, due end
      added = added + redis.call('ZADD', list, 'NX', score, indexes[n])
    end
  end
end
return {added, stored, waits}
