package simulator

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Options configures a Simulator. The zero value is a well-behaved provider
// that knows every key, fit for demonstrations.
type Options struct {
	// Seed drives every choice and fault; 0 draws one, see Simulator.Seed.
	// Ids also depend on the time of the start, lest a simulator without a
	// journal hand out ids that an earlier one gave to other work; with the
	// same Now they repeat too.
	Seed int64
	// Log gets one debug line per request; nil discards.
	Log *slog.Logger
	// Keys maps API keys to accounts. Empty: any key is good except those that
	// begin with "wrong", and gets an account with Credits. With a
	// journal that knows the account, the journal's balance counts.
	Keys map[string]Account
	// Credits is what an account that Keys does not name begins with (10,000).
	Credits int64
	// UploadTime (300 ms ± 100 ms) and ExtendTime (800 ms ± 300 ms) are how
	// long an operation takes from acceptance to its end. A slow download of
	// the source makes it longer.
	UploadTime Timing
	ExtendTime Timing
	// Prices in credits by endpoint, where they differ from the defaults:
	// "mountsea.upload" 2, "mountsea.item" 2, "mountsea.generate" 10,
	// "kkiai.submit" 10, "kie.extend", "kie.create", "apikley.extend" and
	// "sunoapi.extend" 12. Credits are charged at acceptance.
	Prices map[string]int64
	// RefundFailures gives the credits of failed and timed out operations
	// back. The documents promise nothing, so the default is not to.
	RefundFailures bool
	// UpstreamAccounts is how many hidden accounts a provider works with (5).
	UpstreamAccounts int
	// TrackScale shortens results: a continuation at 60 s lasts 68 to 80 s
	// times this (0.1). At 1 tracks have a realistic length. The duration that
	// a status declares is always that of the file.
	TrackScale float64
	// PollAdvice is the least time between two questions about one thing
	// before Verdict counts a fast poll (2 s, the documents' advice).
	PollAdvice time.Duration
	// FaultDelay is how long Delay and CDNSlow last (1 s).
	FaultDelay time.Duration
	// BooksDelay is how long BooksLag lasts (1 min).
	BooksDelay time.Duration
	// NoBalance has no provider tell of an account's credits: what asks for the
	// balance, and MountSea's whole credits host, answers 404. A client is then left
	// without the evidence that they are.
	NoBalance bool
	// RetryAfter is what a 429 asks for, in whole seconds (2 s).
	RetryAfter time.Duration
	// Faults are off by default; see Mild.
	Faults Faults
	// Journal names a file that keeps every charge and change, and is replayed
	// at the start. It contains audio URLs as clients sent them.
	Journal string
	// Files is the directory for what clients upload, until it was examined.
	// Empty: beside the Journal, so that a restarted simulator finds it, or a
	// temporary directory without one.
	Files string
	// KIE settles what the documents of KIE, Apikley and sunoapi.org leave open,
	// and holds their limits.
	KIE KIE
	// Limits are what providers allow each account, by provider, where that is not
	// what the documents say: KIE's 20 operations per 10 s and 100 at once for KIE and
	// its relatives, unless KIE says otherwise; nothing for kkiai and MountSea.
	Limits map[string]Limit
	// Kkiai settles what kkiai's documents leave open.
	Kkiai Kkiai
	// Callbacks says how KIE, its relatives and kkiai call back.
	Callbacks CallbackOptions
	// PublicURL is what result URLs begin with; empty takes the host that the
	// asking client used.
	PublicURL string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// HTTP downloads sources as a provider would; nil is a client of its own
	// with a limit of 30 s, which ignores the proxies of the environment.
	HTTP *http.Client
	// NoFetch believes every audio URL without downloading it: lengths are
	// then taken to be three minutes and hashes stay unknown.
	NoFetch bool
	// Fetchers is how many downloads run at once (8).
	Fetchers int
}

// Account is a customer of the fake providers.
type Account struct {
	// Name appears in charges; empty gives one derived from the key. Keys with
	// the same name share one account.
	Name string `json:"name"`
	// Credits is the balance at the start.
	Credits int64 `json:"credits"`
	// WebhookKey signs the callbacks of providers that sign. Keys of one
	// account agree about it.
	WebhookKey string `json:"-"`
}

// Timing is a duration that varies evenly between Mean - Jitter and
// Mean + Jitter. The zero value means the default; for "at once" use a Mean of
// one nanosecond.
type Timing struct {
	Mean   time.Duration
	Jitter time.Duration
}

func (t Timing) draw(fraction float64) time.Duration {
	return t.Mean - t.Jitter + time.Duration(fraction*float64(2*t.Jitter))
}

func (t Timing) check(name string) error {
	if t.Jitter < 0 || t.Jitter > t.Mean {
		return fmt.Errorf("%s: jitter %v must lie between 0 and the mean %v", name, t.Jitter, t.Mean)
	}
	return nil
}

const (
	lazyCredits   = 10_000
	assumedLength = 3 * time.Minute
)

var defaultPrices = map[string]int64{
	mountseaUpload: 2, mountseaItem: 2, mountseaGenerate: 10, kkiaiSubmit: 10,
	"kie.extend": 12, "kie.create": 12, "apikley.extend": 12, "sunoapi.extend": 12,
}

func (o Options) withDefaults() Options {
	o.Credits = cmp.Or(o.Credits, lazyCredits)
	o.UploadTime = cmp.Or(o.UploadTime, Timing{300 * time.Millisecond, 100 * time.Millisecond})
	o.ExtendTime = cmp.Or(o.ExtendTime, Timing{800 * time.Millisecond, 300 * time.Millisecond})
	o.UpstreamAccounts = cmp.Or(o.UpstreamAccounts, 5)
	o.TrackScale = cmp.Or(o.TrackScale, 0.1)
	o.PollAdvice = cmp.Or(o.PollAdvice, 2*time.Second)
	o.FaultDelay = cmp.Or(o.FaultDelay, time.Second)
	o.BooksDelay = cmp.Or(o.BooksDelay, time.Minute)
	o.RetryAfter = cmp.Or(o.RetryAfter, 2*time.Second)
	o.Fetchers = cmp.Or(o.Fetchers, 8)
	if o.Files == "" && o.Journal != "" {
		o.Files = o.Journal + ".files"
	}
	o.KIE = o.KIE.withDefaults()
	o.Callbacks = o.Callbacks.withDefaults()
	o.PublicURL = strings.TrimSuffix(o.PublicURL, "/")
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: o.Fetchers, IdleConnTimeout: 10 * time.Second}}
	}
	return o
}

func (o Options) check() error {
	findings := []error{
		o.UploadTime.check("UploadTime"), o.ExtendTime.check("ExtendTime"), o.Faults.check(),
		o.checkPrices(), o.checkKeys(), o.checkNumbers(),
		o.KIE.check(), checkLimits(o.Limits), o.Callbacks.check(), o.Kkiai.check(),
	}
	if o.PublicURL != "" {
		if u, err := url.Parse(o.PublicURL); err != nil || u.Host == "" {
			findings = append(findings, errors.New("option PublicURL is not an absolute URL"))
		}
	}
	return errors.Join(findings...)
}

func (o Options) checkPrices() error {
	for _, name := range slices.Sorted(maps.Keys(o.Prices)) {
		if _, known := defaultPrices[name]; !known {
			return fmt.Errorf("no price belongs to endpoint %q", name)
		}
		if o.Prices[name] < 0 {
			return fmt.Errorf("price of %q is %d, want 0 or more", name, o.Prices[name])
		}
	}
	return nil
}

// checkKeys never mentions a key.
func (o Options) checkKeys() error {
	known := map[string]Account{}
	for key, a := range o.Keys {
		name := a.nameFor(key)
		if key == "" || a.Credits < 0 {
			return fmt.Errorf("account %q has an empty key or negative credits", name)
		}
		if other, twice := known[name]; twice && other != a {
			return fmt.Errorf("two keys of account %q disagree about its credits or webhook key", name)
		}
		known[name] = a
	}
	return nil
}

func (o Options) checkNumbers() error {
	switch {
	case o.Credits < 0:
		return fmt.Errorf("option Credits is %d, want 0 or more", o.Credits)
	case o.UpstreamAccounts < 1:
		return fmt.Errorf("option UpstreamAccounts is %d, want at least 1", o.UpstreamAccounts)
	case !(o.TrackScale > 0 && o.TrackScale <= 10):
		return fmt.Errorf("option TrackScale is %v, want more than 0 and at most 10", o.TrackScale)
	case o.PollAdvice < 0, o.FaultDelay < 0, o.BooksDelay < 0:
		return errors.New("options PollAdvice, FaultDelay and BooksDelay must not be negative")
	case o.RetryAfter < time.Second:
		return fmt.Errorf("option RetryAfter is %v, want at least 1s: the header counts in seconds", o.RetryAfter)
	case o.Fetchers < 1:
		return fmt.Errorf("option Fetchers is %d, want at least 1", o.Fetchers)
	}
	return nil
}

func (o Options) price(endpoint string) int64 {
	if p, set := o.Prices[endpoint]; set {
		return p
	}
	return defaultPrices[endpoint]
}

// nameFor gives the account a name that does not reveal its key.
func (a Account) nameFor(key string) string {
	sum := sha256.Sum256([]byte(key))
	return cmp.Or(a.Name, "key-"+hex.EncodeToString(sum[:4]))
}
