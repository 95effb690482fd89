package ledger

// The keys. Those of one account share a hash tag, so that one script can touch
// them on a cluster. The index is written before what it points at, so that a
// crash leaves at worst a pointer to nothing.
//
//	segue:ledger:accounts                 set     provider/account; every account that has books
//	segue:ledger:{<p>/<a>}                hash    the fields below
//	segue:ledger:{<p>/<a>}:open           hash    entry → mark|price|day|scope…; reservations
//	segue:ledger:{<p>/<a>}:due            zset    entry → when it should be looked at, ms; those of :open
//	segue:ledger:{<p>/<a>}:readings       stream  balance, spent, reserved, floor; the latest 1,000
//	segue:ledger:{<p>/<a>}:of:<session>   hash    index:step:generation → state|paid|day|scope…, and open: how many are
//	segue:ledger:{<p>/<a>}:turn:<name>    string  somebody has taken this turn
//	segue:ledger:{<p>/<a>}:clouded        string  credits may come back unannounced, until it expires
//	segue:audit                           stream  what operators decided; the latest 100,000
//
// The fields of an account's hash; amounts are millionths of a credit:
//
//	spent/<scope>, reserved/<scope>, refunded/<scope>   totals; absent when zero
//	moves, marks                       counters of changes, of calls of Reserve
//	balance, balance_at                the provider's last known balance, and when
//	dry_until, dry_need                until when nothing is reserved, and what ends it before
//
// A scope is "account", "session/<id>", "day/<days since 1970>" or another name
// and key joined by a slash. An entry that was paid for costs about 100 bytes for
// as long as its session's hash is kept.
const (
	keyAccounts = "segue:ledger:accounts"
	keyAudit    = "segue:audit"

	keptReadings = 1000
	keptActs     = 100_000
)

func keyBook(a Account) string { return "segue:ledger:{" + a.String() + "}" }

// keysOf are the keys of one account, in the order that every script takes them.
func keysOf(a Account) []string {
	book := keyBook(a)
	return []string{book, book + ":open", book + ":due", book + ":readings"}
}

// keysWith adds what became of the entries of one session.
func keysWith(a Account, session string) []string {
	return append(keysOf(a), keyBook(a)+":of:"+session)
}

func keyClouded(a Account) string { return keyBook(a) + ":clouded" }

func keyTurn(a Account, name string) string { return keyBook(a) + ":turn:" + name }
