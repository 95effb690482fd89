-- ARGV: session, the entry within it, price, ms until it should be looked at; then per limit
-- its scope and its credits ('' for none). 'session' and 'day' are the entry's own.
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

local own = {account = 'account', session = 'session/' .. session, day = 'day/' .. day}
local refused, extras, seen = {'budget', number(t)}, {}, {}
for n = 5, #ARGV, 2 do
  local scope = own[ARGV[n]] or ARGV[n]
  if not own[ARGV[n]] and not seen[scope] then extras[#extras + 1] = scope end
  seen[scope] = true
  local limit = tonumber(ARGV[n + 1])
  if limit and price > 0 then
    local totals = redis.call('HMGET', BOOK, 'spent/' .. scope, 'reserved/' .. scope)
    local spent, reserved = tonumber(totals[1] or 0), tonumber(totals[2] or 0)
    if spent + reserved + price > limit then
      refused[#refused + 1] = (n - 5) / 2
      refused[#refused + 1] = number(spent)
      refused[#refused + 1] = number(reserved)
    end
  end
end
if #refused > 2 then return refused end
local dry = tonumber(redis.call('HGET', BOOK, 'dry_until') or 0)
if price > 0 and dry > t then return {'dry', number(t), number(dry)} end

local record = {amount = price, day = day, extras = extras}
add('reserved', scopes(session, record), price)
redis.call('HINCRBY', PAST, 'open', 1)
moved()
return keep(record)
