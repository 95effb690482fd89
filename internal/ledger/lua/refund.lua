-- ARGV: session, the entry within it, credits. Counted once, and never more than was paid.
-- A reservation that is still open ends with it when nothing was paid: its request was charged
-- and refunded before anybody recorded the charge.
-- What a correction took off the session before is not taken off a second time: no total
-- falls below zero, where it would let a budget be passed.
-- Answers 1 when it was counted now.
local session, part, credits = ARGV[1], ARGV[2], tonumber(ARGV[3])
local open = opened(session, part)
local past = recall(part, open)
if past.head == 'back' or past.head == 'void' then return 0 end
if past.head ~= 'free' then
  local where, amount = scopes(session, past), math.min(credits, past.amount)
  local spent = tonumber(redis.call('HGET', BOOK, 'spent/' .. where[2]) or 0)
  add('spent', {where[1], where[2]}, -math.min(amount, spent))
  add('spent', {unpack(where, 3)}, -amount)
  add('refunded', where, amount)
  remember(part, past.head == 'stray' and 'void' or 'back', past.amount - amount, past)
elseif open then
  close(session, part, open)
  add('refunded', scopes(session, open), credits)
  remember(part, 'back', 0, open)
else
  return 0
end
moved()
return 1
