-- KEYS: those of one schedule. Answers {ms, the schedule's fields and values,
-- fire, record, entry of each open firing}: all of one moment.
local t = redis.call('TIME')
local answer = {
  string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000)),
  redis.call('HGETALL', KEYS[2]),
}
local open = redis.call('HGETALL', KEYS[5])
local firings = {}
for n = 1, #open, 2 do
  local record = redis.call('HGET', KEYS[3], open[n])
  if record then
    firings[#firings + 1] = open[n]
    firings[#firings + 1] = record
    firings[#firings + 1] = open[n + 1]
  end
end
answer[3] = firings
return answer
