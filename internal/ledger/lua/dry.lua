-- ARGV: ms until it is tried again all the same, the balance that ends it before.
redis.call('HSET', BOOK, 'dry_until', number(now() + tonumber(ARGV[1])), 'dry_need', ARGV[2])
return 1
