-- ARGV: the provider's session id. The first one stays; answers the one that holds.
redis.call('HSETNX', SESSION, 'remote', ARGV[1])
return redis.call('HGET', SESSION, 'remote')
