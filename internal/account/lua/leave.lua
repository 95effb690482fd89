-- ARGV: entry. Answers {held?, somebody waits?, admissions begun}.
return {surrender(ARGV[1]), demand()}
