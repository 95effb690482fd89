-- KEYS: those of one schedule. ARGV: name, expected epoch, ms of the next look ('' when the
-- schedule is gone and nothing of it is open), how many firings to keep, how many whatever
-- their age, the ms before which they are old, ms to keep what is gone, '1' when it comes back,
-- number of fields, then field and value ('' removes it) of each, then fire, decided ms,
-- record, entry ('' when it is over) of each firing.
-- Answers 1, or 0 when somebody else has written since.
local INDEX, SCHEDULE, FIRINGS, ORDER, OPEN = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
if (redis.call('HGET', SCHEDULE, 'epoch') or '0') ~= ARGV[2] then return 0 end
redis.call('HINCRBY', SCHEDULE, 'epoch', 1)

local at = 10
for _ = 1, tonumber(ARGV[9]) do
  if ARGV[at + 1] == '' then
    redis.call('HDEL', SCHEDULE, ARGV[at])
  else
    redis.call('HSET', SCHEDULE, ARGV[at], ARGV[at + 1])
  end
  at = at + 2
end

for n = at, #ARGV, 4 do
  local fire = ARGV[n]
  redis.call('HSET', FIRINGS, fire, ARGV[n + 2])
  redis.call('ZADD', ORDER, ARGV[n + 1], fire)
  if ARGV[n + 3] == '' then
    redis.call('HDEL', OPEN, fire)
  else
    redis.call('HSET', OPEN, fire, ARGV[n + 3])
  end
end

-- forget drops firings that are over, and remembers the latest that it knows nothing of.
local function forget(fires)
  for _, fire in ipairs(fires) do
    if redis.call('HEXISTS', OPEN, fire) == 0 then
      redis.call('ZREM', ORDER, fire)
      redis.call('HDEL', FIRINGS, fire)
      local second = tonumber(fire)
      if second and second > tonumber(redis.call('HGET', SCHEDULE, 'horizon') or 0) then
        redis.call('HSET', SCHEDULE, 'horizon', fire)
      end
    end
  end
end

if at <= #ARGV then
  local excess = redis.call('ZCARD', ORDER) - tonumber(ARGV[4])
  if excess > 0 then forget(redis.call('ZRANGE', ORDER, 0, excess - 1)) end
  local beyond = redis.call('ZCARD', ORDER) - tonumber(ARGV[5])
  if beyond > 0 then
    forget(redis.call('ZRANGEBYSCORE', ORDER, '-inf', '(' .. ARGV[6], 'LIMIT', 0, math.min(beyond, 200)))
  end
end

if ARGV[3] ~= '' then
  redis.call('ZADD', INDEX, ARGV[3], ARGV[1])
  if ARGV[8] == '1' then
    for n = 2, 5 do redis.call('PERSIST', KEYS[n]) end
  end
else
  redis.call('ZREM', INDEX, ARGV[1])
  for n = 2, 5 do redis.call('PEXPIRE', KEYS[n], ARGV[7]) end
end
return 1
