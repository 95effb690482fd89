-- ARGV: label of the step, how many, ms until the sweep should look.
-- Takes items out of the backlog, the first of the session first: their tasks are put on the
-- queue by whoever asked, or by the sweep. Answers {how many are left, index, stored, …}.
local backlog = BACKLOG[ARGV[1]]
if redis.call('HEXISTS', SESSION, 'ready') == 0 or redis.call('HEXISTS', SESSION, 'canceled') == 1 then return {0} end
local indexes = redis.call('ZRANGE', backlog, 0, tonumber(ARGV[2]) - 1)
if #indexes == 0 or tonumber(ARGV[2]) < 1 then return {redis.call('ZCARD', backlog)} end
local stored = redis.call('HMGET', ITEMS, unpack(indexes))
local due, looks = number(now() + tonumber(ARGV[3])), {}
local answer = {0}
for n, index in ipairs(indexes) do
  looks[#looks + 1] = due
  looks[#looks + 1] = index
  answer[#answer + 1] = index
  answer[#answer + 1] = stored[n]
end
redis.call('ZREM', backlog, unpack(indexes))
redis.call('ZADD', DUE, unpack(looks))
answer[1] = redis.call('ZCARD', backlog)
return answer
