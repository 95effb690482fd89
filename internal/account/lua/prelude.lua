-- What every script of an account shares: its keys, Redis's clock in milliseconds, who holds
-- a slot, and what closes an endpoint. The keys of an endpoint or a kind are made from the
-- account's, because some scripts learn only here which ones they need; all carry its hash tag.
local META, SLOTS, HELD, STOCK, PAUSES, PARKED = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]

-- t is now, rounded down: nothing that lies ahead has come too soon. What is stamped is
-- stamped with the time rounded up: nothing is forgotten too soon.
local clock = redis.call('TIME')
local t = clock[1] * 1000 + math.floor(clock[2] / 1000)
local stamp = clock[1] * 1000 + math.ceil(clock[2] / 1000)

-- number writes a Lua number without exponent or fraction.
local function number(n)
  return string.format('%.0f', n)
end

-- score reads a score, which one Redis writes as 5e+07 and another as 50000000: tonumber, in
-- some Lua, knows only the second.
local function score(text)
  return text and text + 0
end

local function key(part, name)
  return META .. ':' .. part .. ':' .. name
end

-- demand is whether a session waits in any ring, or is out of it, and how many admissions began.
local function demand()
  local waiting, begun = 0, 0
  local meta = redis.call('HGETALL', META)
  for n = 1, #meta, 2 do
    if meta[n] == 'begun' then begun = tonumber(meta[n + 1]) end
    if string.sub(meta[n], 1, 7) == 'weight:' then waiting = 1 end
  end
  return waiting, begun
end

-- holder is what is known of an entry that has a slot: its endpoint, and when it went, or 0.
local function holder(entry)
  local stored = redis.call('HGET', HELD, entry)
  if not stored then return nil end
  local endpoint, gone = string.match(stored, '^([^|]*)|(%d+)$')
  return {endpoint = endpoint, gone = tonumber(gone)}
end

local function hold(entry, endpoint, gone, till)
  redis.call('HSET', HELD, entry, endpoint .. '|' .. number(gone))
  redis.call('ZADD', SLOTS, number(till), entry)
end

-- pause is why an endpoint is not open; nil when it is.
local function pause(endpoint)
  local stored = redis.call('HGET', PAUSES, endpoint)
  if not stored then return nil end
  local till, since, level, code, canary, why =
    string.match(stored, '^(%d+)|(%d+)|(%d+)|([^|]*)|([^|]*)|(.*)$')
  return {endpoint = endpoint, till = tonumber(till), since = tonumber(since), level = tonumber(level),
    code = code, canary = canary, why = why}
end

local function keep(p)
  redis.call('HSET', PAUSES, p.endpoint, table.concat(
    {number(p.till), number(p.since), number(p.level), p.code, p.canary, p.why}, '|'))
end

-- tested says whether somebody tests a pause whose time has passed: the canary, if it has a slot
-- and its lease has not ended.
local function tested(p)
  return (score(redis.call('ZSCORE', SLOTS, p.canary)) or 0) > t
end

-- bars says whether a pause keeps an entry out ('' for anybody new).
local function bars(p, entry)
  if not p then return false end
  return p.till > t or (p.canary ~= entry and tested(p))
end

-- closed is a pause as an answer: ms until it ends, whether it is tested, code, why.
local function closed(p)
  local testing = p.till <= t and tested(p)
  return {math.max(0, p.till - t), testing and 1 or 0, p.code, p.why}
end

-- surrender takes slot and turn of an entry away, and with the slot what made it the canary.
-- It answers whether the slot was held.
local function surrender(entry)
  local mine = holder(entry)
  if mine then
    redis.call('HDEL', HELD, entry)
    redis.call('ZREM', key('turns', mine.endpoint), entry)
  end
  return redis.call('ZREM', SLOTS, entry)
end
