-- ARGV: spec JSON with "created" left for us to know, ready ('1' or '').
-- Creating a session that exists changes nothing. Answers {created?, spec}.
if redis.call('HSETNX', SESSION, 'spec', ARGV[1]) == 0 then
  return {0, redis.call('HGET', SESSION, 'spec')}
end
if ARGV[2] == '1' then redis.call('HSET', SESSION, 'ready', 1) end
return {1, ARGV[1]}
