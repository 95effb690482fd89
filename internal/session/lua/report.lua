-- ARGV: index, JSON of a delivery without its time, '1' when it reports the operation's end.
-- The inbox keeps the latest delivery of an item, but no stage after the end of the same
-- operation: deliveries come twice and in any order. Answers the entry that is kept.
local INBOX = KEYS[8]
local kept = redis.call('HGET', INBOX, ARGV[1])
if kept and ARGV[3] ~= '1' then
  local before, after = cjson.decode(kept), cjson.decode(ARGV[2])
  if before.done and before.op == after.op then return kept end
end
local entry = string.sub(ARGV[2], 1, -2) .. ',"at":' .. number(now()) .. '}'
redis.call('HSET', INBOX, ARGV[1], entry)
return entry
