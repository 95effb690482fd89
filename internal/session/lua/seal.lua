-- Says that no more items will come, and that the items may be worked on. Sealing may
-- itself complete the session: one of zero items, or one whose items have all ended.
-- Answers {refusal} or {'ok', completion or 0}.
if redis.call('HEXISTS', SESSION, 'spec') == 0 then return {'missing'} end
redis.call('HSET', SESSION, 'ready', 1)
if redis.call('HSETNX', SESSION, 'sealed', 1) == 0 then return {'ok', 0} end
return {'ok', complete()}
