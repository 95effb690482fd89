-- ARGV: session, the entry within it, credits, '1' for a stray: a charge that became known
-- after its reservation had been released.
-- An entry is charged once. Only a stray may be followed by a second charge: when the entry
-- was reserved again after its first request had been refused, as everybody thought.
-- Answers 1 when it was counted now.
local session, part, credits, stray = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1'
local open, past = opened(session, part), recall(part)
if past.head == 'paid' or past.head == 'back' then return 0 end
if past.head == 'stray' and (stray or not open) then return 0 end
local head = 'paid'
if open then
  close(session, part, open)
elseif stray then
  head = 'stray'
end
local record = open or past
add('spent', scopes(session, record), credits)
remember(part, head, credits, record)
moved()
return 1
