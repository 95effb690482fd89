-- ARGV: rate, its window in ms. Answers {ms, slots, stock, somebody waits?, admissions begun,
-- {endpoint, sent, requests, planned, {since, closed} or {}} of each, {kind, sessions} of each,
-- sessions parked}. Those that nobody has looked after for a minute are not counted.
local sent, kinds = {}, {}
local meta = redis.call('HGETALL', META)
for n = 1, #meta, 2 do
  local endpoint, kind = string.match(meta[n], '^sent:(.*)$'), string.match(meta[n], '^weight:(.*)$')
  if endpoint then sent[endpoint] = tonumber(meta[n + 1]) end
  if kind then kinds[#kinds + 1] = {kind, redis.call('HLEN', key('of', kind))} end
end
for _, endpoint in ipairs(redis.call('HKEYS', PAUSES)) do sent[endpoint] = sent[endpoint] or 0 end
local endpoints = {}
for endpoint, count in pairs(sent) do
  local l = lane(endpoint, ARGV[1], ARGV[2])
  local p = pause(endpoint)
  endpoints[#endpoints + 1] = {endpoint, count, l.count or 0, redis.call('ZCARD', l.turns), p and {p.since, closed(p)} or {}}
end
local waiting, begun = demand()
return {t, redis.call('ZCARD', SLOTS), redis.call('ZCARD', STOCK), waiting, begun, endpoints, kinds,
  redis.call('ZCOUNT', PARKED, number(t - 60000), '+inf')}
