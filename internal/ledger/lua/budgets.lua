-- What keeps a request from being reserved.

-- budgeted holds a price against the limits from ARGV[5] on, each a scope and its credits ('' for
-- none); 'session' and 'day' are the entry's own. It gives the answer of a refusal, or nil, and
-- the scopes that are not every entry's.
local function budgeted(session, price)
  local t, refused = now(), nil
  local own = {account = 'account', session = 'session/' .. session, day = 'day/' .. today()}
  local over, extras, seen = {'budget', number(t)}, {}, {}
  for n = 5, #ARGV, 2 do
    local scope = own[ARGV[n]] or ARGV[n]
    if not own[ARGV[n]] and not seen[scope] then extras[#extras + 1] = scope end
    seen[scope] = true
    local limit = tonumber(ARGV[n + 1])
    if limit and price > 0 then
      local totals = redis.call('HMGET', BOOK, 'spent/' .. scope, 'reserved/' .. scope)
      local spent, reserved = tonumber(totals[1] or 0), tonumber(totals[2] or 0)
      if spent + reserved + price > limit then
        over[#over + 1] = (n - 5) / 2
        over[#over + 1] = number(spent)
        over[#over + 1] = number(reserved)
      end
    end
  end
  if #over > 2 then refused = over end
  local dry = tonumber(redis.call('HGET', BOOK, 'dry_until') or 0)
  if not refused and price > 0 and dry > t then refused = {'dry', number(t), number(dry)} end
  return refused, extras
end
