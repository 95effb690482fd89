package simulator

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// endpoint is one path of a fake provider. Everything that providers have in
// common happens in serve; a provider's file holds what is its own.
type endpoint struct {
	name    string // "provider.what"
	pattern string // as http.ServeMux takes it
	class   class
	// key finds the API key in a request, "" when there is none.
	key func(*http.Request) string
	// refuse words a refusal as the provider does.
	refuse func(*Simulator, refusal) answer
	handle func(*call) answer
	// fields are the body's known fields; nil for endpoints without a body.
	fields []string
	// stream leaves the body to handle; other bodies are read first, up to most
	// bytes (maxBody).
	stream bool
	most   int64
	// gate answers what never reaches the provider; true means it did.
	gate func(*Simulator, http.ResponseWriter, *http.Request) bool
	// bodyless endpoints know fields and do without them.
	bodyless bool
}

// refusal is a reason not to serve a request, in no provider's words.
type refusal struct {
	status int
	detail string
}

// answer is what goes over the wire. changed says that the request had an
// effect, which is when losing the answer hurts.
type answer struct {
	status    int
	body      []byte
	changed   bool
	limited   bool   // refused for a limit, which ends by waiting
	operation string // the id of the operation that the request started
	media     string // Content-Type of the body; "" is JSON
}

// call is one request on its way through an endpoint.
type call struct {
	*endpoint
	sim     *Simulator
	http    *http.Request
	account string
	body    map[string]any
	plan    plan
	number  uint64
	// retryAfter is what a planned refusal asks for; 0 is what limits do.
	retryAfter time.Duration
	// What the log of submissions is told: who seems to call, when the request
	// came and when it was decided about, what a refusal means, the fault behind
	// it, and the operation of an accepted one.
	caller           string
	arrived, decided time.Time
	refused          int
	struck           Kind
	started          *operation
	// incidental names more fields of the body that do not tell one job from
	// another; see hashParams.
	incidental []string
}

const maxBody = 1 << 20

// Endpoints lists the names that scripts and prices use, in alphabetical order.
func (s *Simulator) Endpoints() []string { return slices.Sorted(maps.Keys(s.classes)) }

func (s *Simulator) route() {
	for _, e := range slices.Concat(mountsea(), kie(), kkiai()) {
		s.classes[e.name] = e.class
		s.mux.HandleFunc(e.pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, &e) })
	}
	s.classes[cdnEndpoint] = cdn
	s.mux.HandleFunc("GET /cdn/{file}", s.serveFile)
	s.routeKIE()
	s.routeKkiai()
	s.routeControl()
	s.mux.HandleFunc("/", s.serveNothing)
}

func (s *Simulator) serveNothing(w http.ResponseWriter, _ *http.Request) {
	s.count(func(c *Conduct) { c.Requests++; c.UnknownPaths++ })
	write(w, answerJSON(http.StatusNotFound, map[string]any{"statusCode": 404, "message": "Not Found"}))
}

// count changes the counters of conduct.
func (s *Simulator) count(change func(*Conduct)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.conduct)
}

// serve takes a request through faults, authentication, the handler and the
// faults that spoil an answer.
func (s *Simulator) serve(w http.ResponseWriter, r *http.Request, e *endpoint) {
	if e.gate != nil && e.gate(s, w, r) {
		return
	}
	c := s.begin(r, e)
	body, err := e.read(w, r)
	if err != nil {
		a := c.no(http.StatusRequestEntityTooLarge, "request entity too large")
		s.finish(c, body, a, "")
		write(w, a)
		return
	}
	if c.meets(Delay) && !s.pause(r) || c.strikes(DropBefore) {
		s.finish(c, body, answer{}, "")
		cut(w)
		return
	}
	a := c.answer(body)
	if after := c.wait(a); after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(after/time.Second)))
	}
	spoiled := Kind("")
	if a.changed {
		spoiled = c.plan.first(DropAfter, ErrorAfter, PageAfter, TruncateAfter)
	}
	s.finish(c, body, a, spoiled)
	if c.plan.has(CallbackEarly) && a.operation != "" {
		s.announceEarly(c, a.operation)
	}
	c.write(w, a, spoiled)
}

func (e *endpoint) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if e.stream {
		return nil, nil
	}
	return io.ReadAll(http.MaxBytesReader(w, r.Body, cmp.Or(e.most, maxBody)))
}

func (s *Simulator) begin(r *http.Request, e *endpoint) *call {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conduct.Requests++
	c := &call{endpoint: e, sim: s, http: r, arrived: s.now(), caller: s.caller(e.key(r))}
	c.plan, c.retryAfter = s.planned(e.name, c.caller)
	c.number = s.requests[e.name]
	return c
}

// finish notes a spoiled answer before it leaves, and logs the request.
func (s *Simulator) finish(c *call, body []byte, a answer, spoiled Kind) {
	if spoiled != "" && c.meets(spoiled) && a.operation != "" {
		s.mu.Lock()
		s.note(&event{Time: s.now(), Fault: &answerFault{Operation: a.operation, Kind: spoiled}})
		s.mu.Unlock()
	}
	if c.class&paid != 0 {
		c.submitted(body, a, spoiled)
	}
	s.opts.Log.LogAttrs(c.http.Context(), slog.LevelDebug, "simulated request",
		slog.String("endpoint", c.name), slog.String("account", c.account), slog.Int("status", a.status),
		slog.String("operation", a.operation), slog.Any("faults", c.plan))
}

// gatewayFaults are refusals before the key is even looked at.
var gatewayFaults = []struct {
	kind   Kind
	status int
}{
	{Denied, http.StatusUnauthorized},
	{RateLimited, http.StatusTooManyRequests},
	{Maintenance, statusMaintenance},
	{StatusError, http.StatusInternalServerError},
	{BooksError, http.StatusInternalServerError},
}

// meets says whether a fault strikes, and counts it.
func (c *call) meets(k Kind) bool {
	if !c.plan.has(k) {
		return false
	}
	c.sim.mu.Lock()
	defer c.sim.mu.Unlock()
	c.sim.fired[k]++
	return true
}

// strikes is meets for a fault that decides what becomes of the request.
func (c *call) strikes(k Kind) bool {
	if !c.meets(k) {
		return false
	}
	c.struck = k
	return true
}

// wait gives the Retry-After of an answer, 0 for none. A refusal that travels as a
// success has no use for the header.
func (c *call) wait(a answer) time.Duration {
	switch {
	case a.status == http.StatusOK, c.struck == "" && !a.limited:
		return 0
	case c.retryAfter > 0:
		return c.retryAfter
	case a.limited:
		return c.sim.opts.RetryAfter
	}
	return 0
}

// answer decides what to say. A refusal that is a fault comes before the key is
// looked at, like a gateway's.
func (c *call) answer(body []byte) answer {
	if c.sim.opts.NoBalance && c.class&purse != 0 {
		return c.no(http.StatusNotFound, "")
	}
	for _, early := range gatewayFaults {
		if c.strikes(early.kind) {
			return c.no(early.status, "")
		}
	}
	if !c.authenticate() {
		return c.no(http.StatusUnauthorized, "")
	}
	if c.strikes(NoCredits) {
		return c.no(http.StatusPaymentRequired, "")
	}
	if err := c.decode(body); err != nil {
		return c.bad(err.Error())
	}
	return c.handle(c)
}

// statusMaintenance is not a registered status; Suno-style gateways use it.
const statusMaintenance = 455

// no refuses in the provider's words.
func (c *call) no(status int, detail string) answer {
	c.refused = status
	a := c.refuse(c.sim, refusal{status: status, detail: detail})
	a.limited = status == http.StatusTooManyRequests
	return a
}

// bad refuses a body.
func (c *call) bad(detail string) answer {
	c.sim.count(func(n *Conduct) { n.BadRequests++ })
	return c.no(http.StatusBadRequest, detail)
}

func (c *call) authenticate() bool {
	key := c.key(c.http)
	s := c.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	if key == "" {
		s.conduct.Unauthenticated++
		return false
	}
	initial, known := s.opts.Keys[key]
	if !known && (len(s.opts.Keys) > 0 || strings.HasPrefix(key, "wrong")) {
		s.conduct.WrongKey++
		return false
	}
	if !known {
		initial = Account{Credits: s.opts.Credits}
	}
	name, err := s.account(key, initial)
	c.account = name
	return err == nil
}

// account finds or makes the account of a key. The caller holds s.mu, or is New.
func (s *Simulator) account(key string, initial Account) (string, error) {
	if name, known := s.names[key]; known {
		return name, nil
	}
	name := initial.nameFor(key)
	if s.state.accounts[name] == nil {
		made := &account{Name: name, Credits: initial.Credits}
		if err := s.record(&event{Time: s.now(), Account: made}); err != nil {
			return "", err
		}
	}
	s.names[key] = name
	return name, nil
}

var (
	errNotJSON   = errors.New("Content-Type must be application/json")
	errNotObject = errors.New("body must be a JSON object")
)

// decode reads a JSON object and counts the fields that the documents do not
// know. Endpoints without a body ignore what is sent.
func (c *call) decode(body []byte) error {
	if c.fields == nil || c.bodyless && len(body) == 0 {
		return nil
	}
	media, _, err := mime.ParseMediaType(c.http.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return errNotJSON
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if err := decoder.Decode(&c.body); err != nil || c.body == nil || decoder.More() {
		return errNotObject
	}
	c.sim.count(func(n *Conduct) {
		for field := range c.body {
			if !slices.Contains(c.fields, field) {
				n.UnknownFields[c.name+" "+field]++
			}
		}
	})
	return nil
}

// missing refuses a body for want of a field.
func (c *call) missing(field string) answer {
	c.sim.count(func(n *Conduct) { n.MissingFields[c.name+" "+field]++ })
	return c.bad(field + " should not be empty")
}

// text gives a non-empty string field.
func (c *call) text(field string) (string, bool) {
	v, ok := c.body[field].(string)
	return v, ok && v != ""
}
