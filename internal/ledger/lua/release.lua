-- ARGV: session, the entry within it, its mark ('' for whichever it has).
-- What it counted in is remembered, for a charge that becomes known later.
-- Answers 1 when it was released now.
local session, part, mark = ARGV[1], ARGV[2], ARGV[3]
local open = opened(session, part)
if not open or (mark ~= '' and mark ~= open.head) then return 0 end
close(session, part, open)
if recall(part).head == 'free' then remember(part, 'free', 0, open) end
moved()
return 1
