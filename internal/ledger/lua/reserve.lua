-- ARGV: session, the entry within it, price, ms until it should be looked at; then per limit
-- its scope and its credits ('' for none).
-- Answers {'ok', quiet?, moves, mark}, {'paid'}, {'dry', ms, until},
-- or {'budget', ms, number of the limit, spent, reserved, …}.
local session, part, price = ARGV[1], ARGV[2], tonumber(ARGV[3])
local entry = session .. '.' .. part
local t, day = now(), today()

-- Whoever reserves renews the mark: a sweep that looked before releases nothing after.
local function keep(record)
  record.head = number(redis.call('HINCRBY', BOOK, 'marks', 1))
  redis.call('HSET', OPEN, entry, write(record))
  redis.call('ZADD', DUE, number(t + tonumber(ARGV[4])), entry)
  local quiet = redis.call('HLEN', OPEN) == 1 and 1 or 0
  return {'ok', quiet, redis.call('HGET', BOOK, 'moves'), record.head}
end

local open = opened(session, part)
if open then return keep(open) end
local before = recall(part).head
if before == 'paid' or before == 'back' then return {'paid'} end

local refused, extras = budgeted(session, price)
if refused then return refused end

local record = {amount = price, day = day, extras = extras}
add('reserved', scopes(session, record), price)
redis.call('HINCRBY', PAST, 'open', 1)
moved()
return keep(record)
