-- ARGV: endpoint, ms (0: grows), code, why. Answers 1 when this closing is the one in force.
local endpoint, span = ARGV[1], tonumber(ARGV[2])
local p = pause(endpoint)
local level = p and p.level or 0
if span == 0 then
  -- One refusal closes; the others that were on their way say nothing new.
  if p and p.till > t then return 0 end
  level = math.min(level + 1, 3)
  span = ({5000, 7000, 10000})[level]
end
if p and p.till >= t + span then return 0 end
keep({endpoint = endpoint, till = t + span, since = p and p.since or t, level = level, code = ARGV[3], canary = '', why = ARGV[4]})
redis.call('DEL', key('turns', endpoint))
return 1
