-- What every script shares: the session's keys, Redis's clock in milliseconds,
-- and the rule that says when a session becomes complete.
local SESSION, ITEMS, COUNTS, RESULTS, DUE, IDS, OUTBOX =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
-- The items that wait in their session, by the label of the step that they wait for.
local BACKLOG = {['upload.queued'] = KEYS[9], ['extend.queued'] = KEYS[10]}

local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- number writes a Lua number without exponent or fraction.
local function number(n)
  return string.format('%.0f', n)
end

-- header takes a stored item apart: epoch, label. The JSON behind it is never read here.
local function header(stored)
  local epoch, label = string.match(stored, '^(%d+)|([^|]*)|')
  return tonumber(epoch), label
end

-- complete writes the outbox entry of a completion when the session has just become
-- complete: sealed, and every index has a result. It returns the completion's number, or 0.
local function complete()
  if redis.call('HEXISTS', SESSION, 'sealed') == 0 then return 0 end
  if redis.call('HLEN', RESULTS) ~= redis.call('HLEN', ITEMS) then return 0 end
  local n = redis.call('HINCRBY', SESSION, 'completions', 1)
  redis.call('HSET', OUTBOX, n, number(now()))
  return n
end
