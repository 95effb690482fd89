-- What every script of an account shares: its keys, Redis's clock in milliseconds, and the
-- two records. Amounts are whole millionths of a credit, which doubles hold exactly.
local BOOK, OPEN, DUE, READINGS, PAST = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- number writes a Lua number without exponent or fraction.
local function number(n)
  return string.format('%.0f', n)
end

local function today()
  return number(math.floor(now() / 86400000))
end

-- moved counts a change of the books.
local function moved()
  redis.call('HINCRBY', BOOK, 'moves', 1)
end

-- scopes are all that an entry counts in.
local function scopes(session, record)
  return {'account', 'session/' .. session, 'day/' .. record.day, unpack(record.extras)}
end

-- add changes one kind of total in every scope; a total of nothing takes no room.
local function add(kind, where, n)
  if n == 0 then return end
  for _, scope in ipairs(where) do
    local field = kind .. '/' .. scope
    if redis.call('HINCRBY', BOOK, field, number(n)) == 0 then redis.call('HDEL', BOOK, field) end
  end
end

-- read takes head|amount|day|scope… apart; nothing when there is nothing.
local function read(stored)
  if not stored then return nil end
  local parts = {}
  for part in string.gmatch(stored, '[^|]+') do parts[#parts + 1] = part end
  return {head = parts[1], amount = tonumber(parts[2]), day = parts[3], extras = {unpack(parts, 4)}}
end

local function write(record)
  return table.concat({record.head, number(record.amount), record.day, unpack(record.extras)}, '|')
end

-- opened is an entry's reservation, nil when there is none. Its head is its mark.
local function opened(session, part)
  return read(redis.call('HGET', OPEN, session .. '.' .. part))
end

-- close takes an entry's reservation away.
local function close(session, part, open)
  redis.call('HDEL', OPEN, session .. '.' .. part)
  redis.call('ZREM', DUE, session .. '.' .. part)
  if redis.call('HINCRBY', PAST, 'open', -1) == 0 then redis.call('HDEL', PAST, 'open') end
  add('reserved', scopes(session, open), -open.amount)
end

-- recall is what became of an entry so far. Its head is 'free' (released, or never heard of),
-- 'paid', 'back' (paid and refunded), 'stray' (paid without a reservation) or 'void' (a stray
-- that was refunded); its amount is what was paid. Of one never heard of, open tells the scopes.
local function recall(part, open)
  local from = open or {day = today(), extras = {}}
  return read(redis.call('HGET', PAST, part)) or {head = 'free', amount = 0, day = from.day, extras = from.extras}
end

local function remember(part, head, amount, record)
  redis.call('HSET', PAST, part, write({head = head, amount = amount, day = record.day, extras = record.extras}))
end
