-- From this write on no step of the session is claimed; what is queued counts as canceled.
-- Sealing too: nothing may be added to what is canceled. Answers {refusal} or {'ok', completion or 0}.
if redis.call('HEXISTS', SESSION, 'spec') == 0 then return {'missing'} end
redis.call('HSETNX', SESSION, 'canceled', number(now()))
redis.call('HSET', SESSION, 'ready', 1)
-- What waits is admitted no more: the sweep writes it down as canceled.
redis.call('ZUNIONSTORE', DUE, 3, DUE, KEYS[9], KEYS[10])
redis.call('DEL', KEYS[9], KEYS[10])
if redis.call('HSETNX', SESSION, 'sealed', 1) == 0 then return {'ok', 0} end
return {'ok', complete()}
