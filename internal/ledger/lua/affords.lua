-- ARGV: those of reserve. Answers what that would answer for an entry that is new, without marks:
-- {'ok'} or its refusal.
return budgeted(ARGV[1], tonumber(ARGV[3])) or {'ok'}
