-- KEYS: the open firings of the schedule, then the bucket of each source. ARGV: fire ('' when
-- somebody only asks), the bytes that stand for it, then the digest of each source.
-- A source is fresh unless another firing has carried it, or is about to: what an open firing
-- has taken is its own until it marks it, fails, or finds nothing to do.
-- Answers 1 or 0 for each source; those that are fresh are taken for the firing.
local fire, own = ARGV[1], ARGV[2]
local answer = {}
for n = 2, #KEYS do
  local digest = ARGV[n + 1]
  local held = redis.call('HGET', KEYS[n], digest)
  local fresh = true
  if held and #held == 6 then
    fresh = held == own
  elseif held then
    local holder = string.sub(held, 2)
    fresh = holder == fire or redis.call('HEXISTS', KEYS[1], holder) == 0
  end
  if fresh and fire ~= '' and held ~= own then redis.call('HSET', KEYS[n], digest, '~' .. fire) end
  answer[n - 1] = fresh and 1 or 0
end
return answer
