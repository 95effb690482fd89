-- ARGV: endpoint, slots (0: any number). Answers how ready an account is for a new session:
-- 0 at once, 1 when a slot becomes free, 2 when its endpoint opens.
if bars(pause(ARGV[1]), '') then return 2 end
local slots = tonumber(ARGV[2])
if slots > 0 and redis.call('ZCARD', SLOTS) >= slots then return 1 end
return 0
