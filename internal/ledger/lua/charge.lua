-- ARGV: session, the entry within it, credits, '1' for a stray: the charge of a request that
-- was released, and so never of what is open now. Without a reservation every charge is one.
-- An entry is charged once. Only a stray may be followed by a second charge: when the entry
-- is reserved again after its first request was refused, as everybody thought.
-- Answers 1 when it was counted now.
local session, part, credits, stray = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1'
local open = opened(session, part)
local past = recall(part, open)
if open and not stray then
  close(session, part, open)
  add('spent', scopes(session, open), credits)
  remember(part, 'paid', credits, open)
elseif past.head ~= 'free' or credits == 0 then
  return 0
else
  add('spent', scopes(session, past), credits)
  remember(part, 'stray', credits, past)
end
moved()
return 1
