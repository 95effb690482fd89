-- ARGV: item. Answers {held?, somebody waits?, admissions begun}.
return {redis.call('ZREM', STOCK, ARGV[1]), demand()}
