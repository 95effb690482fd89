-- Takes a session off the list of those that are owed work.
-- KEYS[1] the list; ARGV[1] the session, ARGV[2] how long it stays after an Owe, ms.
-- Returns whether it was taken off.
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score then
  return 0
end
score = tonumber(score)
-- An Owe leaves half a millisecond behind, by which it is known.
if score % 1 ~= 0 then
  local time = redis.call('TIME')
  if time[1] * 1000 + math.floor(time[2] / 1000) < score + ARGV[2] then
    return 0
  end
end
return redis.call('ZREM', KEYS[1], ARGV[1])
