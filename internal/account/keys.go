package account

// The keys. Those of one account share a hash tag, so that one script can touch
// them on a cluster; the registry has a tag of its own. Times are ms of Redis's clock.
//
//	segue:account:{<p>/<a>}                    hash  the fields below
//	segue:account:{<p>/<a>}:slots              zset  entry → when its lease ends
//	segue:account:{<p>/<a>}:held               hash  entry → endpoint|when it went, or 0; those of :slots
//	segue:account:{<p>/<a>}:stock              zset  item → when its lease ends
//	segue:account:{<p>/<a>}:pauses             hash  endpoint → until|since|level|code|canary|why
//	segue:account:{<p>/<a>}:parked             zset  session → when it may join again; those that cannot pay
//	segue:account:{<p>/<a>}:turns:<endpoint>   zset  entry → its turn; those that have not gone
//	segue:account:{<p>/<a>}:gone:<endpoint>    zset  number → when it went; one window, expires
//	segue:account:{<p>/<a>}:ring:<kind>        zset  session → pass at the middle of its next item; those that wait
//	segue:account:{<p>/<a>}:out:<kind>         zset  session → when it comes back by itself; those picked
//	segue:account:{<p>/<a>}:of:<kind>          hash  session → weight|pass|joined again; both
//	segue:account:{<p>/<a>}:past:<kind>        zset  session → pass; those that left ahead of the others
//	segue:{accounts}                           hash  provider/account → what is known, JSON
//	segue:{accounts}:seen                      zset  provider/account → when it was announced, s
//	segue:{accounts}:draining                  set   provider/account
//	segue:{accounts}:denied                    hash  provider/account → until|its key?|why
//
// The fields of an account's hash:
//
//	begun              number of admissions begun
//	sent:<endpoint>    how many requests ever went
//	weight:<kind>      sum of the weights in a ring; absent when it is empty
//	virtual:<kind>     the ring's virtual time
const (
	keyKnown    = "segue:{accounts}"
	keySeen     = "segue:{accounts}:seen"
	keyDraining = "segue:{accounts}:draining"
	keyDenied   = "segue:{accounts}:denied"
)

func keyAccount(id ID) string { return "segue:account:{" + id.String() + "}" }

// keysOf are the keys of one account, in the order that every script takes them.
func keysOf(id ID) []string {
	account := keyAccount(id)
	return []string{account, account + ":slots", account + ":held", account + ":stock", account + ":pauses", account + ":parked"}
}

func keyPauses(id ID) string { return keyAccount(id) + ":pauses" }

func keyParked(id ID) string { return keyAccount(id) + ":parked" }
