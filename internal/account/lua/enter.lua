-- ARGV: endpoint, rate, its window in ms, slots (0: any number), how far ahead in ms, lease in
-- ms, '1' when polite, '1' at the door, then entries. Answers {ms until the turn of each that got in, why the
-- next one did not, and what is to be said about it}.
local endpoint, slots, ahead, lease = ARGV[1], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local shy = ARGV[7] == '1' and redis.call('HEXISTS', META, 'weight:' .. endpoint) == 1
local door = ARGV[8] == '1'
local l, p = lane(endpoint, ARGV[2], ARGV[3]), pause(endpoint)
local used, planned = redis.call('ZCARD', SLOTS), expected(l)
local turns = {}

for n = 9, #ARGV do
  local entry = ARGV[n]
  -- Whoever is here tests a reopening instead of one that was chosen and has not come: it
  -- may never, or be behind this one in its queue.
  if door and p and p.till <= t and p.canary ~= entry and tested(p) then
    local chosen = holder(p.canary)
    if chosen and chosen.gone == 0 then
      used = used - surrender(p.canary)
      planned = expected(l)
    end
  end
  local mine = holder(entry)
  if bars(p, entry) then
    if mine and mine.gone == 0 then surrender(entry) end
    return {turns, 'closed', closed(p)}
  end
  if not mine then
    if shy then return {turns, 'waiting'} end
    if slots > 0 and used >= slots then return {turns, 'full'} end
  elseif mine.endpoint ~= endpoint then
    redis.call('ZREM', key('turns', mine.endpoint), entry)
  end
  local turn = t
  if l.n > 0 then
    local had = score(redis.call('ZSCORE', l.turns, entry))
    turn = had or permit(l, planned)
    if not mine and turn - t > ahead then return {turns, 'busy', turn - t} end
    if not had then
      redis.call('ZADD', l.turns, number(turn), entry)
      planned = planned + 1
    end
  end
  if not mine then used = used + 1 end
  hold(entry, endpoint, mine and mine.gone or 0, math.max(turn, t) + lease)
  if p and p.canary ~= entry then
    p.canary = entry
    keep(p)
  end
  turns[#turns + 1] = math.max(0, turn - t)
end
return {turns, ''}
