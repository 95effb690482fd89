-- ARGV: session, the entry within it, credits. Counted once, and never more than was paid.
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
  add('spent', scopes(session, past), -amount)
  add('refunded', scopes(session, past), amount)
  remember(part, 'back', past.amount - amount, past)
end
moved()
return 1
