-- Answers {endpoint, since, closed} of each endpoint that is not open.
local list = {}
for _, endpoint in ipairs(redis.call('HKEYS', PAUSES)) do
  local p = pause(endpoint)
  list[#list + 1] = {endpoint, p.since, closed(p)}
end
return list
