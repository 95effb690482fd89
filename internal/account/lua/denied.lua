-- KEYS: who is denied. Answers {account, ms that it lasts, its key?, why} of each, and forgets those
-- whose time is over.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local list, all = {}, redis.call('HGETALL', KEYS[1])
for n = 1, #all, 2 do
  local till, key, why = string.match(all[n + 1], '^(%d+)|(%d)|(.*)$')
  if tonumber(till) > now then
    list[#list + 1] = {all[n], tonumber(till) - now, key, why}
  else
    redis.call('HDEL', KEYS[1], all[n])
  end
end
return list
