-- KEYS: the audit. ARGV: the act's id, how many to keep, then fields and values.
-- One that is among the latest under the same id is not recorded again: the answer to the
-- first call was lost. Answers 1 when it was recorded now.
for _, kept in ipairs(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 32)) do
  if kept[2][2] == ARGV[1] then return 0 end
end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'id', ARGV[1], unpack(ARGV, 3))
return 1
