package dst

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/callback"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

// place is a step of an item, as the provider's log is asked about it.
type place struct {
	session string
	index   int
	step    session.StepName
}

// request is a paid request that left: a line of the provider's log. The
// generation is that of the task whose delivery sent it.
type request struct {
	place
	generation int
	actor      *actor
	at         int // how long the trace was
	refused    bool
	operation  string // what was billed; empty when nothing was
	callback   string
	// accepted is when; seen is when the provider's lists and the balance show it.
	accepted, seen time.Time
}

func (r *request) String() string {
	what := "not accepted"
	if r.operation != "" {
		what = "billed as " + r.operation
	}
	if r.refused {
		what = "refused"
	}
	return fmt.Sprintf("request for %s, %s, generation %d, by %s: %s", session.ItemID(r.session, r.index), r.step, r.generation, r.actor.proc.name, what)
}

// operation is what the provider works on.
type operation struct {
	id       string
	of       place
	remote   string // the provider's own session
	done     bool
	fails    bool
	refunds  bool
	callback string
}

// delivery is a callback on its way.
type delivery struct {
	url  string
	body []byte
	left int // how often it is tried again
}

// vendor is a provider in memory. It bills when it accepts, and its answers get
// lost. Nobody but the simulation reads its log.
type vendor struct {
	s     *sim
	fence bool // a request is not sent after its deadline, as provider/rest promises
	// Defects to be found: the driver sends again what got no answer; its Evidence
	// promises more than is true; it takes one operation's results for another's; its
	// limits are lower than its Info says.
	sendsTwice, hasty, mixesUp, narrow bool

	opened     int
	requests   []*request
	operations map[string]*operation
	order      []string
	callbacks  []*delivery
}

func (v *vendor) info() provider.Info {
	return provider.Info{
		Name: "vendor", Uploads: provider.Uploads{Paid: v.s.p.paidUpload, Clips: true, Formats: []string{"mp3"}},
		Models: []provider.Model{{Name: "m1"}}, Prices: provider.Prices{Upload: v.price(session.StepUpload), Extend: v.price(session.StepExtend)},
		Limits:    v.limits(),
		Poll:      provider.Polling{Min: 2 * time.Second, Max: 30 * time.Second, Deadline: 6 * time.Hour},
		Retention: 14 * 24 * time.Hour, Callbacks: v.s.p.callbacks,
		Evidence: v.evidence(),
	}
}

func (v *vendor) limits() provider.Limits {
	limits := provider.Limits{InFlight: v.s.p.inFlight, Submit: provider.Rate{N: v.s.p.rate, Per: rateSpan}}
	if v.narrow {
		limits.InFlight, limits.Submit.N = 2*limits.InFlight, 2*limits.Submit.N
	}
	return limits
}

// rateSpan is what the provider's rate is counted in.
const rateSpan = 5 * time.Second

// The longest that the provider's records lag behind, as its Evidence promises.
const (
	callbacksFor = 21 * time.Minute
	balanceLags  = 2 * time.Minute
	booksLag     = 5 * time.Minute
)

func (v *vendor) evidence() provider.Evidence {
	var e provider.Evidence
	if v.s.p.callbacks {
		e.Callback = callbacksFor
	}
	if v.s.p.balance {
		e.Balance = balanceLags
	}
	if v.s.p.books {
		e.Books = booksLag
	}
	if v.hasty {
		e.Balance, e.Books = min(e.Balance, time.Second), min(e.Books, time.Second)
	}
	return e
}

func (v *vendor) OpenSession(ctx context.Context) (string, error) {
	v.s.gate(v.s.actorOf(ctx), atCall, "open session")
	v.opened++
	return fmt.Sprint("remote-", v.opened), nil
}

func (v *vendor) Upload(ctx context.Context, r *provider.Upload) (*provider.Accepted, error) {
	// The name is the item: nothing of what Segue believes is asked.
	number, found := v.s.sources[r.Audio.Name]
	if !found {
		v.s.fail("the provider was given " + r.Audio.Name + ", which nobody submitted")
	}
	return v.submit(ctx, place{number.session, number.index, session.StepUpload}, r.Session, r.CallbackURL)
}

func (v *vendor) Extend(ctx context.Context, r *provider.Extend) (*provider.Accepted, error) {
	op, a := v.operations[strings.TrimPrefix(r.Clip.ID, "clip-")], v.s.actorOf(ctx)
	if op == nil {
		return nil, fault.Uncharged(fault.NotFound, "vendor.Extend", errors.New("no such clip"))
	}
	of := place{op.of.session, op.of.index, session.StepExtend}
	if ref := a.task.ref; v.s.p.clips && (ref.Session != of.session || ref.Index != of.index) {
		// Another item's clip: whose request this is, only the task tells.
		of.session, of.index = ref.Session, ref.Index
		v.s.mark("a clip was continued by another item")
		if said := v.s.gate(a, atCall, "look for clip"); v.s.odds(said.roll, v.s.p.refuses) {
			v.s.mark("a clip was not found")
			return nil, fault.Uncharged(fault.NotFound, "vendor.Extend", errors.New("no such clip"))
		}
	}
	return v.submit(ctx, of, r.Session, r.CallbackURL)
}

// submit is one exchange: the request leaves, and its answer comes back.
func (v *vendor) submit(ctx context.Context, of place, remote, callbackURL string) (*provider.Accepted, error) {
	accepted, err := v.exchange(ctx, of, remote, callbackURL)
	if v.sendsTwice && err != nil && fault.ChargeOf(err) == fault.ChargeUnknown && ctx.Err() == nil {
		return v.exchange(ctx, of, remote, callbackURL)
	}
	return accepted, err
}

func (v *vendor) exchange(ctx context.Context, of place, remote, callbackURL string) (*provider.Accepted, error) {
	const op = "vendor.Submit"
	a := v.s.actorOf(ctx)
	said := v.s.gate(a, atCall, fmt.Sprintf("request %s %d", of.step, of.index))
	if v.fence {
		if err := provider.Leave(ctx); err != nil {
			v.s.mark("a request was refused leave")
			return nil, err
		}
	}
	if deadline, ok := ctx.Deadline(); v.fence && (ctx.Err() != nil || ok && !time.Now().Before(deadline)) {
		v.s.mark("the fence held a request back")
		return nil, fault.Uncharged(fault.Timeout, op, errors.New("its deadline had passed"))
	}
	r := &request{place: of, generation: a.task.ref.Generation, actor: a, at: len(v.s.trace), callback: callbackURL}
	v.requests = append(v.requests, r)
	if err := v.refusal(r, said.roll); err != nil {
		return nil, err
	}
	v.accept(r, remote, said.roll)
	v.s.asked(r)
	answer := v.s.gate(a, atCall, "answer "+r.operation)
	switch {
	case ctx.Err() != nil:
		return nil, fault.New(fault.Timeout, op, errors.New("no answer in time"))
	case v.s.odds(answer.roll, v.s.p.answerLost):
		v.s.mark("an answer was lost")
		return nil, fault.New(fault.Timeout, op, errors.New("no answer"))
	case v.s.odds(answer.roll/1000, v.s.p.answerLost):
		return nil, fault.New(fault.Malformed, op, errors.New("the answer is no JSON"))
	}
	return &provider.Accepted{OperationID: r.operation}, nil
}

// refusal is what the provider, or the way to it, does instead of accepting.
func (v *vendor) refusal(r *request, roll uint32) error {
	const op = "vendor.Submit"
	switch {
	case !v.s.odds(roll, v.s.p.refuses):
		return nil
	case roll/1000%8 < 3:
		v.s.mark("a request was lost")
		v.s.asked(r)
		return fault.New(fault.Unavailable, op, errors.New("connection reset"))
	case roll/1000%8 == 3:
		r.refused = true
		return fault.Uncharged(fault.Rejected, op, errors.New("not this music"))
	case roll/1000%8 == 4:
		r.refused = true
		v.s.mark("an account ran dry")
		return &fault.Error{Code: fault.Exhausted, Scope: fault.ScopeAccount, Op: op, Charge: fault.ChargeNone, Err: errors.New("no credits")}
	}
	r.refused = true
	v.s.mark("a request was refused")
	if roll/1000%8 == 5 {
		return &fault.Error{Code: fault.Unavailable, Scope: fault.ScopeProvider, Op: op, Charge: fault.ChargeNone, Err: errors.New("maintenance")}
	}
	return &fault.Error{Code: fault.Exhausted, Scope: fault.ScopeEndpoint, Op: op, Charge: fault.ChargeNone, RetryAfter: 7 * time.Second, Err: errors.New("too many")}
}

// accept bills. The balance and the lists show it within the time that the
// provider's Evidence promises, and seldom at once.
func (v *vendor) accept(r *request, remote string, roll uint32) {
	r.operation = fmt.Sprint("op-", len(v.operations)+1)
	r.accepted = time.Now()
	v.s.within(r)
	r.seen = r.accepted.Add(balanceLags * time.Duration(roll%100) / 100)
	v.operations[r.operation] = &operation{
		id: r.operation, of: r.place, remote: remote, callback: r.callback,
		fails: v.s.odds(roll/1000_000, v.s.p.opFails), refunds: roll%2 == 0,
	}
	v.order = append(v.order, r.operation)
	v.report(v.operations[r.operation], "text", false)
}

// finish ends an operation, and reports it.
func (v *vendor) finish(id string) {
	op := v.operations[id]
	op.done = true
	v.report(op, "complete", true)
}

// running lists the operations that have not ended.
func (v *vendor) running() []string {
	var found []string
	for _, id := range v.order {
		if !v.operations[id].done {
			found = append(found, id)
		}
	}
	return found
}

func (v *vendor) report(op *operation, stage string, done bool) {
	if op.callback == "" {
		return
	}
	body, err := json.Marshal(provider.Callback{OperationID: op.id, Kind: stage, Done: done})
	if err != nil {
		v.s.fail(err.Error())
	}
	v.callbacks = append(v.callbacks, &delivery{url: op.callback, body: body, left: 3})
}

// ReadCallback reads what report wrote.
func (v *vendor) ReadCallback(_ http.Header, body []byte, _ time.Time) (*provider.Callback, error) {
	said := new(provider.Callback)
	if err := json.Unmarshal(body, said); err != nil {
		return nil, fault.New(fault.Malformed, "vendor.ReadCallback", err)
	}
	return said, nil
}

// post is one attempt of the provider to report.
func (d *delivery) post(ctx context.Context, receiver *callback.Receiver) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(d.body))
	if err != nil {
		return 0, err
	}
	answer := &answer{header: http.Header{}, status: http.StatusOK}
	receiver.ServeHTTP(answer, req)
	return answer.status, nil
}

// answer is an http.ResponseWriter that keeps the status alone.
type answer struct {
	header http.Header
	status int
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) Write(p []byte) (int, error) { return len(p), nil }
func (a *answer) WriteHeader(status int)      { a.status = status }

func (v *vendor) Poll(ctx context.Context, op *provider.Operation) (*provider.State, error) {
	a := v.s.actorOf(ctx)
	said := v.s.gate(a, atCall, "poll "+op.ID)
	known := v.operations[op.ID]
	switch {
	case ctx.Err() != nil:
		return nil, fault.New(fault.Timeout, "vendor.Poll", ctx.Err())
	case known == nil:
		return nil, fault.New(fault.NotFound, "vendor.Poll", errors.New("no such operation"))
	case v.s.odds(said.roll, v.s.p.pollFails):
		return nil, fault.New(fault.Unavailable, "vendor.Poll", errors.New("down"))
	case !known.done:
		a.waited = true
		return &provider.State{Word: "running"}, nil
	case known.fails:
		failure := &fault.Error{Code: fault.Rejected, Charge: fault.ChargeMade, Err: errors.New("it failed")}
		if known.refunds {
			failure.Charge = fault.ChargeNone
		}
		return &provider.State{Done: true, Failure: failure}, nil
	case known.of.step == session.StepUpload:
		return &provider.State{Done: true, Clip: &provider.Clip{ID: "clip-" + known.id}}, nil
	}
	if v.mixesUp {
		known = v.operations[v.order[0]]
	}
	return &provider.State{Done: true, Tracks: []provider.Track{
		{AudioID: known.id + "-a", AudioURL: "https://cdn.test/" + known.id + "-a"},
		{AudioID: known.id + "-b", AudioURL: "https://cdn.test/" + known.id + "-b"},
	}}, nil
}
