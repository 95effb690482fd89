// Package ledger keeps the credits of every account in Redis: what is reserved for
// paid requests that are about to leave, what was spent and refunded, what budgets
// allow, what providers say is left, and what operators decided about it.
//
// A paid request has one [Entry]. Its credits are reserved before it may leave, in
// one script that also holds every budget: spent plus reserved never passes one, at
// any concurrency (P7). Afterwards the entry is settled, released, refunded, or kept
// open while nobody knows. An item of a session is the truth about its requests, and
// the books follow it: every call may be repeated, after a lost reply or a crash,
// and counts once per entry.
//
// Amounts are float64 credits here and whole millionths of a credit in Redis: what
// is smaller is rounded.
package ledger

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/reply"
)

// Book is the ledger. It is safe for concurrent use, by any number of processes.
// Its errors are faults: invalid for arguments that can never be right, exhausted
// and conflict from Reserve, canceled, and unavailable when Redis is.
type Book struct {
	rdb redis.UniversalClient
	// known are the accounts that this process has put on the index.
	known sync.Map
}

// New returns a ledger over a client that it does not own.
func New(rdb redis.UniversalClient) *Book { return &Book{rdb: rdb} }

// Account names one credential at one provider, as the configuration does.
type Account struct{ Provider, Name string }

// String is "provider/name".
func (a Account) String() string { return a.Provider + "/" + a.Name }

// Entry names one paid request: a step of an item in one generation.
type Entry struct {
	Session    string
	Index      int
	Step       string
	Generation int
}

// String is "session.index:step:generation".
func (e Entry) String() string { return e.Session + "." + e.part() }

// part is the entry's name within its session.
func (e Entry) part() string {
	return strconv.Itoa(e.Index) + ":" + e.Step + ":" + strconv.Itoa(e.Generation)
}

// The forms of names that become parts of keys and records, where braces, colons
// and bars have a meaning.
var (
	entryForm = regexp.MustCompile(`^([A-Za-z0-9_-]+)\.(0|[1-9]\d{0,8}):([A-Za-z0-9_-]+):(0|[1-9]\d{0,8})$`)
	nameForm  = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
	keyForm   = regexp.MustCompile(`^[^|[:cntrl:]]*$`)
)

// ParseEntry reads the form that Entry.String writes. Anything else is invalid.
func ParseEntry(text string) (Entry, error) {
	parts := entryForm.FindStringSubmatch(text)
	if parts == nil {
		return Entry{}, fault.New(fault.Invalid, "ledger.ParseEntry", fmt.Errorf("%q is not session.index:step:generation", text))
	}
	e := Entry{Session: parts[1], Step: parts[3]}
	// The form admits nothing that does not fit an int.
	e.Index, _ = strconv.Atoi(parts[2])
	e.Generation, _ = strconv.Atoi(parts[4])
	return e, nil
}

// The scopes that every entry counts in, with or without a limit.
const (
	ScopeAccount = "account"
	ScopeSession = "session"
	ScopeDay     = "day"
)

// Limit is a budget: spent plus reserved of the scope and key never passes Credits.
type Limit struct {
	// Scope is one of the three above, or a name of the caller's own ("schedule").
	Scope string
	// Key tells apart what is in a scope of the caller's own. The account, the entry's
	// session and the day of the reservation (UTC, by Redis's clock) need none; the
	// session's may be named all the same.
	Key string
	// Credits is what may be spent. Infinity limits nothing, and counts.
	Credits float64
}

// field is the scope as the scripts name it; account, session and day are known to them.
func (l Limit) field() string {
	if l.own() {
		return l.Scope
	}
	return l.Scope + "/" + l.Key
}

func (l Limit) own() bool {
	return l.Scope == ScopeAccount || l.Scope == ScopeSession || l.Scope == ScopeDay
}

// check refuses what is no scope of an entry of the session.
func (l Limit) check(session string) error {
	switch {
	case !nameForm.MatchString(l.Scope):
		return fmt.Errorf("%q is no scope", l.Scope)
	case l.own() && l.Key != "" && (l.Scope != ScopeSession || l.Key != session):
		return fmt.Errorf("the entry's own %s is no %q", l.Scope, l.Key)
	case !keyForm.MatchString(l.Key):
		return fmt.Errorf("key %q of scope %s has a bar or a control character", l.Key, l.Scope)
	}
	return nil
}

// checkAccount refuses a name that would not make a key.
func checkAccount(op string, a Account) error {
	if !nameForm.MatchString(a.Provider) || !nameForm.MatchString(a.Name) {
		return fault.New(fault.Invalid, op, fmt.Errorf("%q is no account", a.String()))
	}
	return nil
}

func check(op string, a Account, e Entry) error {
	if !entryForm.MatchString(e.String()) {
		return fault.New(fault.Invalid, op, fmt.Errorf("%q is no entry", e.String()))
	}
	return checkAccount(op, a)
}

// maxCredits bounds every amount, so that sums of millions of them stay exact.
const maxCredits = 1e9

// micros turns credits into the whole millionths that Redis keeps.
func micros(op string, credits float64) (int64, error) {
	if math.IsNaN(credits) || math.Abs(credits) > maxCredits {
		return 0, fault.New(fault.Invalid, op, fmt.Errorf("%v is no amount of credits", credits))
	}
	return int64(math.Round(credits * 1e6)), nil
}

// price is micros for what cannot be negative.
func price(op string, credits float64) (int64, error) {
	if credits < 0 {
		return 0, fault.New(fault.Invalid, op, fmt.Errorf("%v is no amount to pay", credits))
	}
	return micros(op, credits)
}

func credits(micros int64) float64 { return float64(micros) / 1e6 }

// list puts an account on the index, once per process.
func (b *Book) list(ctx context.Context, op string, a Account) error {
	if _, listed := b.known.Load(a); listed {
		return nil
	}
	if err := b.rdb.SAdd(ctx, keyAccounts, a.String()).Err(); err != nil {
		return reply.Down(op, err)
	}
	b.known.Store(a, true)
	return nil
}

// Accounts gives every account that has books, by name.
func (b *Book) Accounts(ctx context.Context) ([]Account, error) {
	names, err := b.rdb.SMembers(ctx, keyAccounts).Result()
	if err != nil {
		return nil, reply.Down("ledger.Accounts", err)
	}
	accounts := make([]Account, 0, len(names))
	for _, name := range names {
		provider, account, _ := strings.Cut(name, "/")
		accounts = append(accounts, Account{provider, account})
	}
	sortAccounts(accounts)
	return accounts, nil
}
