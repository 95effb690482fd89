-- KEYS: the bucket of each source. ARGV: the bytes that stand for the firing, then the digest
-- of each source. What another firing has carried stays that one's.
for n = 1, #KEYS do
  local held = redis.call('HGET', KEYS[n], ARGV[n + 1])
  if not held or #held ~= 6 then redis.call('HSET', KEYS[n], ARGV[n + 1], ARGV[1]) end
end
return 1
