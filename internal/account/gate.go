package account

import (
	"fmt"
	"regexp"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
)

// Guard is what the way to a provider may vary by: two requests that are far enough
// apart here may arrive closer together there.
const Guard = 250 * time.Millisecond

// Lead is how long before its turn an entry is told to come. Whoever is woken by a
// queue comes late; who comes early is told by Go how long to wait, and sleeps.
const Lead = time.Second

// lease is how long a slot or a place is held without being looked after, offered
// how long until Stale gives it out again, and outing how long a picked session may
// stay away from its ring.
const (
	lease   = 60 * time.Second
	offered = 30 * time.Second
	outing  = 60 * time.Second
)

// The kinds of work that sessions wait for. The endpoint of a kind has its name.
const (
	KindUpload = "upload"
	KindExtend = "extend"
)

// ID names one credential at one provider, as the configuration does.
type ID struct{ Provider, Name string }

// String is "provider/name".
func (id ID) String() string { return id.Provider + "/" + id.Name }

// Rate is N requests in any Per. N 0 is no limit.
type Rate struct {
	N   int
	Per time.Duration
}

// Limits are what an account may do at once. They come with every call: Redis keeps
// none, so that a new configuration holds from its first call on.
type Limits struct {
	// Rate is of paid requests to one endpoint, exact in any window of Per.
	Rate Rate
	// InFlight is how many operations run at once, over all endpoints; 0 is no limit.
	InFlight int
	// Stock is how many items may be between the admission of their upload and their
	// next paid request; 0 is no limit, and nothing is kept then.
	Stock int
}

// Gate decides, for every process together, when an account's next paid request may
// leave. Its state and its clock are Redis's. Every refusal is an answer; its errors
// are faults: invalid for arguments that can never be right, canceled, and
// unavailable when Redis is. It is safe for concurrent use.
type Gate struct{ rdb redis.UniversalClient }

// NewGate returns a gate over a client that it does not own.
func NewGate(rdb redis.UniversalClient) *Gate { return &Gate{rdb: rdb} }

// nameForm is that of names which become parts of keys; entryForm that of members.
var (
	nameForm  = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
	entryForm = regexp.MustCompile(`^[A-Za-z0-9_.:-]+$`)
)

// check refuses what would not make a key: the id, and names of endpoints or kinds.
func check(op string, id ID, names ...string) error {
	if !nameForm.MatchString(id.Provider) || !nameForm.MatchString(id.Name) {
		return fault.New(fault.Invalid, op, fmt.Errorf("%q is no account", id.String()))
	}
	for _, name := range names {
		if !nameForm.MatchString(name) {
			return fault.New(fault.Invalid, op, fmt.Errorf("%q is no name", name))
		}
	}
	return nil
}

// checkEntries refuses what is no entry, item or session.
func checkEntries(op string, entries ...string) error {
	for _, entry := range entries {
		if !entryForm.MatchString(entry) {
			return fault.New(fault.Invalid, op, fmt.Errorf("%q is no entry", entry))
		}
	}
	return nil
}

// check refuses limits that nothing could keep.
func (l Limits) check(op string) error {
	if l.Rate.N < 0 || l.InFlight < 0 || l.Stock < 0 || l.Rate.N > 0 && l.Rate.Per < time.Millisecond {
		return fault.New(fault.Invalid, op, fmt.Errorf("%+v are no limits", l))
	}
	return nil
}
