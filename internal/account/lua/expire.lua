-- ARGV: endpoint, code. Answers 1 when there is a closing of this code; it may be tested now.
local p = pause(ARGV[1])
if not p or p.code ~= ARGV[2] then return 0 end
if p.till > t then
  p.till = t
  keep(p)
end
return 1
