package drivertest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
)

const toyKey = "toy-51c0ffee77d15ea5e"

// toyFake is the smallest provider that bills: POST /upload and /extend start
// operations, GET /op tells of one, GET /credits of the balance, GET /session of
// the clips of a session and GET /bills of what was billed. An operation ends when
// settle is called after it began.
type toyFake struct {
	mu       sync.Mutex
	ops      []*toyOp
	charges  int
	sessions int
	free     bool // uploads cost nothing
}

type toyOp struct {
	step    string
	session string
	at      time.Time
	ended   bool
	broken  bool
}

func (f *toyFake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+toyKey {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "POST /session":
		f.sessions++
		f.answer(w, map[string]any{"session": "s-" + strconv.Itoa(f.sessions)})
	case "POST /upload", "POST /extend":
		f.begin(w, r)
	case "GET /op":
		f.tell(w, r)
	case "GET /session":
		f.answer(w, map[string]any{"clips": f.clips(r.URL.Query().Get("id"))})
	case "GET /bills":
		f.answer(w, map[string]any{"bills": f.bills(r.URL.Query())})
	case "GET /credits":
		f.answer(w, map[string]any{"credits": 1000 - f.charges})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (f *toyFake) begin(w http.ResponseWriter, r *http.Request) {
	var in struct{ Audio, Session string }
	if json.NewDecoder(r.Body).Decode(&in) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if r.URL.Path == "/extend" || !f.free {
		f.charges++
	}
	f.ops = append(f.ops, &toyOp{step: r.URL.Path[1:], session: in.Session, at: time.Now(), broken: in.Audio == "https://files.example/broken.mp3?sig=c2VjcmV0"})
	f.answer(w, map[string]any{"id": "op-" + strconv.Itoa(len(f.ops)-1)})
}

// clips lists what the uploads of a session ended with.
func (f *toyFake) clips(session string) []string {
	list := []string{}
	for n, op := range f.ops {
		if op.step == "upload" && op.session == session && op.ended && !op.broken {
			list = append(list, "clip-op-"+strconv.Itoa(n))
		}
	}
	return list
}

// bills lists the operations of one step that were billed within a time, in
// milliseconds since 1970.
func (f *toyFake) bills(q url.Values) []string {
	list := []string{}
	from, err1 := strconv.ParseInt(q.Get("from"), 10, 64)
	until, err2 := strconv.ParseInt(q.Get("until"), 10, 64)
	for n, op := range f.ops {
		at := op.at.UnixMilli()
		if err1 == nil && err2 == nil && op.step == q.Get("step") && from <= at && at <= until && (op.step == "extend" || !f.free) {
			list = append(list, "op-"+strconv.Itoa(n))
		}
	}
	return list
}

func (f *toyFake) tell(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	n, err := strconv.Atoi(id[min(3, len(id)):])
	if err != nil || n >= len(f.ops) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	op := f.ops[n]
	switch {
	case !op.ended:
		f.answer(w, map[string]any{"word": "working"})
	case op.broken:
		f.answer(w, map[string]any{"word": "failed", "why": "cannot read https://files.example/broken.mp3?sig=c2VjcmV0 with " + toyKey})
	case op.step == "upload":
		f.answer(w, map[string]any{"word": "ready", "clip": "clip-" + id})
	default:
		f.answer(w, map[string]any{"word": "ready", "tracks": []map[string]any{
			{"id": "a-" + id, "url": "https://cdn.example/a-" + id}, {"id": "b-" + id, "url": "https://cdn.example/b-" + id},
		}})
	}
}

func (f *toyFake) answer(w http.ResponseWriter, value any) {
	if err := json.NewEncoder(w).Encode(value); err != nil {
		panic(http.ErrAbortHandler)
	}
}

func (f *toyFake) settle() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, op := range f.ops {
		op.ended = true
	}
}

func (f *toyFake) billed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.charges
}

// toy is a driver without faults.
type toy struct{ api *rest.Client }

func (d *toy) OpenSession(ctx context.Context) (string, error) {
	var out struct{ Session string }
	if err := d.api.JSON(ctx, "toy.OpenSession", http.MethodPost, "session", nil, &out); err != nil {
		return "", err
	}
	if out.Session == "" {
		return "", fault.Uncharged(fault.Malformed, "toy.OpenSession", errors.New("no session"))
	}
	return out.Session, nil
}

func (d *toy) Upload(ctx context.Context, r *provider.Upload) (*provider.Accepted, error) {
	return d.submit(ctx, "toy.Upload", "upload", r.Audio.URL, r.Session)
}

func (d *toy) Extend(ctx context.Context, r *provider.Extend) (*provider.Accepted, error) {
	return d.submit(ctx, "toy.Extend", "extend", r.Clip.ID, r.Session)
}

func (d *toy) submit(ctx context.Context, op, path, audio, session string) (*provider.Accepted, error) {
	var out struct{ ID string }
	if err := d.api.JSON(ctx, op, http.MethodPost, path, map[string]string{"audio": audio, "session": session}, &out); err != nil {
		return nil, err
	}
	if out.ID == "" {
		return nil, fault.New(fault.Malformed, op, errors.New("no id"))
	}
	return &provider.Accepted{OperationID: out.ID}, nil
}

func (d *toy) Poll(ctx context.Context, o *provider.Operation) (*provider.State, error) {
	const op = "toy.Poll"
	var out struct {
		Word, Clip, Why string
		Tracks          []struct{ ID, URL string }
	}
	if err := d.api.JSON(ctx, op, http.MethodGet, "op?id="+url.QueryEscape(o.ID), nil, &out); err != nil {
		return nil, err
	}
	state := &provider.State{Word: out.Word}
	switch out.Word {
	case "working":
		return state, nil
	case "failed":
		state.Done = true
		state.Failure = &fault.Error{Code: fault.Rejected, Op: op, Charge: fault.ChargeMade, Err: errors.New(d.api.Clean(out.Why))}
		return state, nil
	case "ready":
	default:
		return nil, fault.Uncharged(fault.Malformed, op, errors.New("unknown word"))
	}
	state.Done = true
	if o.Step == "upload" {
		state.Clip = &provider.Clip{ID: out.Clip}
		if out.Clip == "" {
			return nil, fault.Uncharged(fault.Malformed, op, errors.New("no clip"))
		}
		return state, nil
	}
	for _, track := range out.Tracks {
		if track.ID == "" || track.URL == "" {
			return nil, fault.Uncharged(fault.Malformed, op, errors.New("half a track"))
		}
		state.Tracks = append(state.Tracks, provider.Track{AudioID: track.ID, AudioURL: track.URL})
	}
	if len(state.Tracks) == 0 {
		return nil, fault.Uncharged(fault.Malformed, op, errors.New("no tracks"))
	}
	return state, nil
}

func (d *toy) Books(ctx context.Context, q *provider.Question) (*provider.Books, error) {
	const op = "toy.Books"
	books := &provider.Books{}
	if q.Step == "upload" && q.Session != "" {
		var out struct{ Clips []string }
		if err := d.api.JSON(ctx, op, http.MethodGet, "session?id="+url.QueryEscape(q.Session), nil, &out); err != nil {
			return nil, err
		}
		if books.Clips = out.Clips; out.Clips == nil {
			return nil, fault.Uncharged(fault.Malformed, op, errors.New("no list of clips"))
		}
	}
	span := url.Values{"step": {q.Step}, "from": {strconv.FormatInt(q.From.UnixMilli(), 10)}, "until": {strconv.FormatInt(q.Until.UnixMilli(), 10)}}
	var out struct{ Bills []string }
	if err := d.api.JSON(ctx, op, http.MethodGet, "bills?"+span.Encode(), nil, &out); err != nil {
		return nil, err
	}
	if out.Bills == nil {
		return nil, fault.Uncharged(fault.Malformed, op, errors.New("no list of bills"))
	}
	books.Charges = len(out.Bills)
	return books, nil
}

func (d *toy) Credits(ctx context.Context) (float64, error) {
	var out struct{ Credits *float64 }
	if err := d.api.JSON(ctx, "toy.Credits", http.MethodGet, "credits", nil, &out); err != nil {
		return 0, err
	}
	if out.Credits == nil {
		return 0, fault.Uncharged(fault.Malformed, "toy.Credits", errors.New("no credits"))
	}
	return *out.Credits, nil
}

// openToy wires the toy up; a bug is given the client's transport and the
// finished driver, and spoils one of them.
func openToy(spoil bug) Open {
	return func(tb testing.TB, w *Wire) *Harness {
		tb.Helper()
		fake := &toyFake{}
		base := w.Serve(fake)
		client := w.Client()
		if spoil.transport != nil {
			client.Transport = spoil.transport(client.Transport)
		}
		api, err := rest.New(rest.Options{
			Op: "toy.Open", Base: base, Auth: rest.Bearer(toyKey), HTTP: client, Table: rest.Statuses(),
			Envelope: rest.Envelope{Code: []string{"code"}, Success: []string{"200"}, Message: []string{"msg"}},
		})
		if err != nil {
			tb.Fatalf("Open: %v", err)
		}
		var driver provider.Driver = &toy{api}
		if spoil.driver != nil {
			driver = spoil.driver(driver)
		}
		info := provider.Info{
			Name: "toy", Uploads: provider.Uploads{Paid: true, Clips: true}, Models: []provider.Model{{Name: "t-1"}},
			Poll: provider.Polling{Min: time.Second, Max: time.Minute}, Evidence: provider.Evidence{Balance: time.Second, Books: time.Second},
		}
		if spoil.info != nil {
			spoil.info(&info)
		}
		fake.free = !info.Uploads.Paid
		return &Harness{
			Driver: driver, Info: info, APIKey: toyKey, Charges: fake.billed, Settle: fake.settle,
			Upload: func() *provider.Upload {
				return &provider.Upload{Audio: provider.Audio{URL: "https://files.example/song.mp3?sig=c2VjcmV0"}}
			},
			Broken: func() *provider.Upload {
				return &provider.Upload{Audio: provider.Audio{URL: "https://files.example/broken.mp3?sig=c2VjcmV0"}}
			},
			Params:   provider.Params{ContinueAt: 10},
			Refusals: []Refusal{{Name: "402 in the body", Status: 200, Body: `{"code":402,"msg":"empty"}`, Code: fault.Exhausted, Scope: fault.ScopeAccount}},
		}
	}
}

func TestToyPasses(t *testing.T) { Run(t, openToy(bug{})) }

// TestFreeToyPasses has the toy's uploads cost nothing, and its driver know it.
func TestFreeToyPasses(t *testing.T) {
	Run(t, openToy(bug{info: free, driver: uploading(func(ctx context.Context, d provider.Driver, r *provider.Upload) (*provider.Accepted, error) {
		accepted, err := d.Upload(ctx, r)
		return accepted, rest.Free(err)
	})}))
}

// free is of a driver that is wrapped, which makes it no witness.
func free(i *provider.Info) { i.Uploads.Paid, i.Evidence.Books = false, 0 }
