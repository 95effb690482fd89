-- ARGV: session, the entry within it, credits. Counted once, and never more than was paid.
-- What a correction took off the session before is not taken off a second time: no total
-- falls below zero, where it would let a budget be passed.
-- A reservation that is still open ends with it: its request was charged and refunded before
-- anybody recorded the charge. Answers 1 when it was counted now.
local session, part, credits = ARGV[1], ARGV[2], tonumber(ARGV[3])
local open, past = opened(session, part), recall(part)
if past.head == 'back' then return 0 end
if open then
  close(session, part, open)
  add('refunded', scopes(session, open), credits)
  remember(part, 'back', 0, open)
elseif past.head == 'free' then
  return 0
else
  local amount = math.min(credits, past.amount)
  local where = scopes(session, past)
  local spent = tonumber(redis.call('HGET', BOOK, 'spent/' .. where[2]) or 0)
  add('spent', {where[1], where[2]}, -math.min(amount, spent))
  add('spent', {unpack(where, 3)}, -amount)
  add('refunded', where, amount)
  remember(part, 'back', past.amount - amount, past)
end
moved()
return 1
