package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/bucket"
	"github.com/segue-audio/segue/internal/bucket/buckettest"
	"github.com/segue-audio/segue/internal/bulk"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/schedule"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

// made is how a file of an inbox was paid for by somebody else.
type made struct {
	account string
	extend  *provider.Params
	// kept is for how long the provider keeps an upload; 0 is for ever.
	kept time.Duration
}

// pay remembers a file as the workers do when a session of it is complete.
func (in *inbox) pay(name string, m made) {
	in.t.Helper()
	found, err := probeFile(in.t.Context(), filepath.Join(in.dir, name))
	in.ok(err)
	id, err := session.NewID()
	in.ok(err)
	current := &session.Session{Spec: session.Spec{ID: id, Provider: "studio", Account: m.account, Params: m.extend}}
	item := session.NewItem(
		session.Source{Name: name, SHA256: found.SHA256, Duration: found.Duration.Seconds()}, session.PlanFor(m.extend != nil), nil,
	)
	item.Session, item.State, item.Updated, item.Clip = id, session.Succeeded, time.Now(), &provider.Clip{ID: "clip"}
	if m.kept > 0 {
		item.Clip.Expires = time.Now().Add(m.kept)
	}
	if m.extend != nil {
		item.Tracks = []session.Track{{Track: provider.Track{AudioID: "song"}, File: "/kept/" + name}}
	}
	in.ok(in.remember(in.t.Context(), current, []*session.Item{&item}))
}

// first is a session's first item.
func (in *inbox) first(id string) *session.Item {
	in.t.Helper()
	work, err := in.store.Load(in.t.Context(), id, 0)
	in.ok(err)
	return &work.Item
}

// continued has a schedule's files extended from two thirds of a second on.
func continued(e *schedule.Entry) {
	e.Extend = json.RawMessage(`{"continueAt":0.75,"title":"Evening"}`)
}

// forgetResults empties the index of what was paid for.
func (in *inbox) forgetResults() {
	in.t.Helper()
	keys, err := in.rdb.Keys(in.t.Context(), "segue:result:*").Result()
	in.ok(err)
	if len(keys) == 0 {
		in.t.Fatal("the index is empty, want something to forget")
	}
	in.ok(in.rdb.Del(in.t.Context(), keys...).Err())
}

// idle says that a firing had nothing to do, and why.
func (in *inbox) idle(f schedule.Firing, want string) {
	in.t.Helper()
	if f.State != schedule.Started || f.Session != "" || f.Ended.IsZero() || f.Reason != want {
		in.t.Errorf("%s is %s as %q with %q, want nothing to do: %q", f.ID(), f.State, f.Session, f.Reason, want)
	}
}

// TestAFiringLeavesOutWhatWasPaidFor: what decides what comes out decides whether it was,
// and for what is of use at one account alone, the account.
func TestAFiringLeavesOutWhatWasPaidFor(t *testing.T) {
	asked := provider.Params{ContinueAt: 0.75, Title: "Evening"}
	model, fromEnd, other, persona := asked, asked, asked, asked
	model.Model, fromEnd.ContinueAt, other.Title, persona.PersonaID = "chirp-v50", -1.25, "Morning", "p-1"
	at := func(account string) func(*schedule.Entry) { return func(e *schedule.Entry) { e.Account = account } }
	withPersona := func(e *schedule.Entry) {
		e.Extend = json.RawMessage(`{"continueAt":0.75,"title":"Evening","personaId":"p-1"}`)
	}
	for _, c := range []struct {
		name string
		made made
		with func(*schedule.Entry)
		left bool
	}{
		{"an extend, by another account", made{"other", &asked, 0}, continued, true},
		{"with the model by its name", made{"main", &model, 0}, continued, true},
		{"counted from the end", made{"main", &fromEnd, 0}, continued, true},
		{"with another title", made{"main", &other, 0}, continued, false},
		{"only uploaded", made{"main", nil, 0}, continued, false},
		{"an upload at the schedule's account", made{"main", nil, 2 * time.Hour}, at("main"), true},
		{"an upload that is deleted by now", made{"main", nil, 30 * time.Minute}, at("main"), false},
		{"an upload at another account", made{"other", nil, 0}, at("main"), false},
		{"an upload at the account that is chosen", made{"main", nil, 0}, nil, true},
		{"with a persona of the account", made{"main", &persona, 0}, withPersona, true},
		{"with a persona of another", made{"other", &persona, 0}, withPersona, false},
		{"again", made{"main", &asked, 0}, func(e *schedule.Entry) { continued(e); e.Again = true }, false},
		{"all files each time", made{"main", &asked, 0}, func(e *schedule.Entry) { continued(e); e.AllFiles = true }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := newInbox(t, c.with)
			in.tune("1.wav", 1)
			in.pay("1.wav", c.made)
			in.mini.SetTime(time.Now().Add(time.Hour))
			f := in.run(in.fire())
			if !c.left {
				in.holds(f, 1)
				return
			}
			in.idle(f, "1 file paid for before and not again")
			// It counts as carried, also once the index knows nothing of it any more.
			in.forgetResults()
			in.idle(in.run(in.fire()), "no file is new: 1 file carried before, or about to be")
		})
	}
}

// TestAFiringOfAllFilesPaysEachTime: that is what it is for.
func TestAFiringOfAllFilesPaysEachTime(t *testing.T) {
	in := newInbox(t, func(e *schedule.Entry) { e.AllFiles = true })
	in.tune("1.wav", 1)
	in.pay("1.wav", made{account: "main"})
	first, second := in.run(in.fire()), in.run(in.fire())
	in.holds(first, 1)
	in.holds(second, 1)
	if first.Session == second.Session {
		t.Errorf("both firings are session %s, want one for each", first.Session)
	}
}

// TestAFiringPaysWithTheAccountItAsked: what is left out since one account has it must not
// be submitted to another.
func TestAFiringPaysWithTheAccountItAsked(t *testing.T) {
	in := newInbox(t, nil, "SEGUE_PROVIDERS_STUDIO_ACCOUNTS_EAST_API_KEY=k-1", "SEGUE_PROVIDERS_STUDIO_ACCOUNTS_WEST_API_KEY=k-2")
	in.ok(in.gate.Announce(t.Context(), in.announced()))
	in.tune("east.wav", 1)
	in.tune("west.wav", 2)
	in.pay("east.wav", made{account: "east"})
	in.pay("west.wav", made{account: "west"})
	f := in.run(in.fire())
	in.holds(f, 1)
	current, err := in.store.Session(t.Context(), f.Session)
	in.ok(err)
	it := in.first(f.Session)
	other := map[string]string{"east": "west.wav", "west": "east.wav"}[current.Account]
	if filepath.Base(it.Source.Path) != other || f.Reason != "1 file paid for before and not again" {
		t.Errorf("account %s is to do %s (%s); want the file that the other one has", current.Account, it.Source.Path, f.Reason)
	}
}

// TestWhatWasPaidForCostsNothingOfABudget: neither of a firing's, nor when it is used up.
func TestWhatWasPaidForCostsNothingOfABudget(t *testing.T) {
	one := priceOfUpload(t)
	in := newInbox(t, func(e *schedule.Entry) { e.Budget = &one })
	for n := range 5 {
		in.tune(fmt.Sprintf("%d.wav", n), n)
	}
	for _, name := range []string{"0.wav", "1.wav", "4.wav"} {
		in.pay(name, made{account: "main"})
	}
	f := in.run(in.fire())
	in.holds(f, 1)
	if want := "3 files paid for before and not again; 1 new file left to a later firing: the budget allows no more"; f.Reason != want {
		t.Errorf("reason %q, want %q", f.Reason, want)
	}
	in.over()
	in.ok(in.book.Put(t.Context(), schedule.Entry{Name: "x", Cron: "@yearly", Source: in.dir, Provider: "studio", Budget: new(float64)}))
	in.tune("5.wav", 5)
	in.pay("5.wav", made{account: "main"})
	in.idle(in.run(in.fire()), "1 file paid for before and not again; 1 new file left to a later firing: the budget allows no more")
}

// TestAFiringWithoutBudgetLooksAtSoMany: it reads no backlog whole to find what was paid
// for; the next firing goes on behind what it found.
func TestAFiringWithoutBudgetLooksAtSoMany(t *testing.T) {
	in := newInbox(t, func(e *schedule.Entry) { e.Budget = new(float64) })
	for n := range atOnce + 3 {
		name := fmt.Sprintf("%04d.wav", n)
		in.tune(name, n)
		if n < 2 || n >= atOnce {
			in.pay(name, made{account: "main"})
		}
	}
	in.idle(in.run(in.fire()), fmt.Sprintf("2 files paid for before and not again; %d new files left to a later firing: the budget allows no more", atOnce+1))
	in.idle(in.run(in.fire()), fmt.Sprintf("2 files paid for before and not again; %d new files left to a later firing: the budget allows no more", atOnce-1))
}

// TestAFiringsOwnResultsAreNotBefore: a worker that is killed after it has submitted, and
// another that goes on when the item has succeeded.
func TestAFiringsOwnResultsAreNotBefore(t *testing.T) {
	in := newInbox(t, nil)
	in.tune("1.wav", 1)
	in.tune("2.wav", 2)
	p := in.fire()
	in.cutOff(p, func(c *carrier) error {
		input := source.Input{Source: "1.wav", Path: filepath.Join(in.dir, "1.wav")}
		fresh, keys, err := c.fresh(t.Context(), []source.Input{input})
		in.ok(err)
		good, err := c.probe(t.Context(), fresh, keys)
		in.ok(err)
		items, _, err := c.unlike(t.Context(), good)
		in.ok(err)
		in.ok(c.submit(t.Context(), items))
		current, err := in.store.Session(t.Context(), c.session)
		in.ok(err)
		it := in.first(c.session)
		it.State, it.Clip = session.Succeeded, &provider.Clip{ID: "clip"}
		return in.remember(t.Context(), current, []*session.Item{it})
	})
	f := in.run(p)
	in.holds(f, 2)
	if f.Reason != "" {
		t.Errorf("reason %q, want none: all of it is the firing's own", f.Reason)
	}
}

// TestASessionSaysWhatItsFiringLeftOut: one by one with its results, also when the firing
// was cut off behind them; of a firing without a session nothing is kept.
func TestASessionSaysWhatItsFiringLeftOut(t *testing.T) {
	in := newInbox(t, continued)
	asked := provider.Params{ContinueAt: 0.75, Title: "Evening"}
	for n := range 4 {
		in.tune(fmt.Sprintf("%d.wav", n), n)
	}
	in.pay("0.wav", made{"main", &asked, 0})
	in.pay("2.wav", made{"main", &asked, 0})
	p := in.fire()
	in.cutOff(p, func(c *carrier) error { return c.carryAll(t.Context()) })
	in.pay("3.wav", made{"main", &asked, 0}) // it is in the session by now
	in.tune("4.wav", 4)
	in.pay("4.wav", made{"main", &asked, 0})
	f := in.run(p)
	in.holds(f, 2)
	if want := "3 files paid for before and not again"; f.Reason != want {
		t.Errorf("reason %q, want %q", f.Reason, want)
	}
	left, err := in.leftOut(t.Context(), f.Session)
	in.ok(err)
	var got []string
	for n, r := range left {
		if r.Index != 2*n || r.Outcome != bulk.Known || len(r.SHA256) != 64 || r.SessionID == "" || !slices.Equal(r.AudioIDs, []string{"song"}) {
			t.Errorf("left out %+v, want it whole, in its place", r)
		}
		got = append(got, filepath.Base(r.Source)+" is "+strings.Join(r.Files, " "))
	}
	if want := []string{"0.wav is /kept/0.wav", "2.wav is /kept/2.wav", "4.wav is /kept/4.wav"}; !slices.Equal(got, want) {
		t.Errorf("left out %q, want %q", got, want)
	}
	in.tune("5.wav", 5)
	in.pay("5.wav", made{"main", &asked, 0})
	in.idle(in.run(in.fire()), "1 file paid for before and not again")
	if keys, err := in.rdb.Keys(t.Context(), "segue:left:*").Result(); err != nil || len(keys) != 1 {
		t.Errorf("kept under %q, %v; want the list of the one session", keys, err)
	}
}

// TestSparesThatAreTooMany are counted, and not listed.
func TestSparesThatAreTooMany(t *testing.T) {
	in := newInbox(t, nil)
	sp, err := in.sparesOf(t.Context(), "x@1")
	in.ok(err)
	for n := range mostSpares + 2 {
		if !sp.add(reused{Source: fmt.Sprint(n)}) {
			t.Fatalf("file %d is known already", n)
		}
		if n == 10 {
			in.ok(sp.keep(t.Context(), in.system))
		}
	}
	in.ok(sp.keep(t.Context(), in.system))
	in.ok(sp.settle(t.Context(), in.system, "ses_x"))
	left, err := in.leftOut(t.Context(), "ses_x")
	if got := sp.number(); err != nil || left != nil || got != 10_002 {
		t.Errorf("%d in number and %d listed, %v; want 10002 and none", got, len(left), err)
	}
	if n, err := in.rdb.Exists(t.Context(), "segue:left:x@1").Result(); err != nil || n != 0 {
		t.Errorf("%d lists are kept, %v; want none", n, err)
	}
}

// TestBackfilledFiringsNeverPayTwice: beside each other and beside others, whatever was
// paid for before.
func TestBackfilledFiringsNeverPayTwice(t *testing.T) {
	in := newInbox(t, func(e *schedule.Entry) { e.Cron, e.Overlap = "@daily", schedule.Allow })
	for n := range 4 {
		in.tune(fmt.Sprintf("%d.wav", n), n)
	}
	in.tune("copy.wav", 3)
	in.pay("0.wav", made{account: "main"})
	now := time.Now()
	window := [2]time.Time{now.Add(-73 * time.Hour), now.Add(-25 * time.Hour)}
	filled, err := in.book.Backfill(t.Context(), "x", window[0], window[1])
	in.ok(err)
	if len(filled) != 2 {
		t.Fatalf("%d firings of two days, want 2", len(filled))
	}
	byHand := in.fire()
	group, ctx := errgroup.WithContext(t.Context())
	for _, p := range []tasks.Run{byHand, {V: 1, Schedule: "x", Fire: filled[0].Fire}, {V: 1, Schedule: "x", Fire: filled[1].Fire}} {
		group.Go(func() error { return in.bulk(ctx, p) })
	}
	in.ok(group.Wait())
	firings, err := in.book.History(t.Context(), "x", 10, "")
	in.ok(err)
	carried := map[string]int{}
	for _, f := range firings {
		if f.Session == "" {
			continue
		}
		in.ok(in.store.Each(t.Context(), f.Session, 0, 0, func(it *session.Item) error {
			carried[it.Source.SHA256]++
			return nil
		}))
	}
	if want := []int{1, 1, 1}; !slices.Equal(slices.Collect(maps.Values(carried)), want) || len(firings) != 3 {
		t.Errorf("%d firings carry contents %v, want three of them once each", len(firings), carried)
	}
	again, err := in.book.Backfill(t.Context(), "x", window[0], window[1])
	if err != nil || len(again) != 0 {
		t.Errorf("again it starts %d firings, %v; want none", len(again), err)
	}
}

// TestFiringsOfABucket know an object by its state, and its contents when it is new.
func TestFiringsOfABucket(t *testing.T) {
	server := buckettest.Start(t)
	songs := server.Bucket(t, "songs")
	for _, c := range []struct{ name, source string }{
		{"a prefix", "s3://songs/in"},
		{"a pattern", "s3://songs/in/*.wav"},
		{"a manifest", "list.jsonl"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := newInbox(t, func(e *schedule.Entry) {
				if e.Source = c.source; !isObject(c.source) {
					e.Source = filepath.Join(t.TempDir(), c.source)
					rows := `{"source":"s3://songs/in/1.wav"}` + "\n" + `{"source":"s3://songs/in/2.wav"}` + "\n"
					if err := place(e.Source, []byte(rows)); err != nil {
						t.Fatal(err)
					}
				}
			}, s3Of(server)...)
			put := func(name string, number int) bucket.Object {
				stored, err := songs.Put(t.Context(), "in/"+name, bytes.NewReader(tune(number)), -1, bucket.PutOptions{})
				in.ok(err)
				return stored
			}
			put("1.wav", 1)
			put("2.wav", 2)
			in.holds(in.run(in.fire()), 2)
			in.idle(in.run(in.fire()), "no file is new: 2 files carried before, or about to be")

			// Another song under a name that was carried is carried, as it is now.
			changed := put("2.wav", 3)
			f := in.run(in.fire())
			in.holds(f, 1)
			it := in.first(f.Session)
			if got := it.Source; got.URL != "s3://songs/in/2.wav" || got.ETag != changed.ETag || len(got.SHA256) != 64 {
				t.Errorf("carried %+v, want s3://songs/in/2.wav with ETag %s and its digest", got, changed.ETag)
			}

			// What somebody has paid for on a disk is recognised in a bucket, and what the
			// schedule has carried by another name.
			in.tune("4.wav", 4)
			in.pay("4.wav", made{account: "main"})
			put("1.wav", 4)
			put("2.wav", 1)
			in.idle(in.run(in.fire()), "1 file paid for before and not again; 1 file with the content of another, carried once")
		})
	}
}

// TestAFiringOfABucketThatIsAway is tried again; what is missing in it keeps nothing else.
func TestAFiringOfABucketThatIsAway(t *testing.T) {
	server := buckettest.Start(t)
	songs := server.Bucket(t, "songs")
	in := newInbox(t, func(e *schedule.Entry) {
		rows := `{"source":"s3://songs/none.wav"}` + "\n" + `{"source":"s3://songs/1.wav"}` + "\n"
		if err := place(filepath.Join(e.Source, "list.jsonl"), []byte(rows)); err != nil {
			t.Fatal(err)
		}
		e.Source = filepath.Join(e.Source, "list.jsonl")
	}, s3Of(server)...)
	_, err := songs.Put(t.Context(), "1.wav", bytes.NewReader(tune(1)), -1, bucket.PutOptions{})
	in.ok(err)
	f := in.run(in.fire())
	in.holds(f, 1)
	if !strings.HasPrefix(f.Reason, "1 file left out: ") || !strings.Contains(f.Reason, "s3://songs/none.wav") {
		t.Errorf("reason %q, want the missing one named", f.Reason)
	}
	in.over()
	in.cfg.S3.Endpoint = "http://127.0.0.1:1"
	p := in.fire()
	if err := in.bulk(t.Context(), p); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("%v, want unavailable: to be tried again", err)
	}
	in.cfg.S3.Endpoint = server.Endpoint
	in.idle(in.run(p), f.Reason)
}

// s3Of is a server's part of the configuration.
func s3Of(server *buckettest.Server) []string {
	return []string{
		"SEGUE_S3_ENDPOINT=" + server.Endpoint, "SEGUE_S3_REGION=" + buckettest.Region,
		"SEGUE_S3_ACCESS_KEY=" + buckettest.AccessKey, "SEGUE_S3_SECRET_KEY=" + buckettest.SecretKey,
	}
}

// TestFiringsOfTheWeb know a song by its address, without what signs it, and by its content
// when it is new.
func TestFiringsOfTheWeb(t *testing.T) {
	var down atomic.Bool
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Etag", `"`+r.URL.Path+`"`)
		number := map[string]int{"/a.wav7": 1, "/a.wav8": 2, "/b.wav": 3, "/c.wav": 4, "/d.wav": 3}[r.URL.Path+r.FormValue("id")]
		http.ServeContent(w, r, r.URL.Path, time.Time{}, bytes.NewReader(tune(number)))
	}))
	t.Cleanup(web.Close)
	at := schedule.Entry{Name: "x", Cron: "@yearly", Provider: "studio", Source: web.URL + "/a.wav?id=7&sig=one"}
	in := newInbox(t, func(e *schedule.Entry) { *e = at }, "SEGUE_SECURITY_ALLOW_PRIVATE_HOSTS="+strings.TrimPrefix(web.URL, "http://"))

	// While it is away nothing is carried, and it stays new.
	down.Store(true)
	if f := in.run(in.fire()); f.Session != "" || !strings.Contains(f.Reason, "1 file left out: ") || strings.Contains(f.Reason, "sig=") {
		t.Errorf("it became %q with %q, want it left out without its signature", f.Session, f.Reason)
	}
	down.Store(false)
	f := in.run(in.fire())
	in.holds(f, 1)
	if it := in.first(f.Session); it.Source.URL != at.Source || it.Source.Format != "wav" || len(it.Source.SHA256) != 64 {
		t.Errorf("carried %+v, want the address as it was given, a wav with its digest", it.Source)
	}
	in.tune("4.wav", 4)
	in.pay("4.wav", made{account: "main"})
	for _, c := range []struct{ path, left string }{
		{"/a.wav?id=7&sig=two", "no file is new: 1 file carried before, or about to be"},
		{"/a.wav?id=8&sig=two", ""},
		{"/b.wav", ""},
		{"/c.wav", "1 file paid for before and not again"},
		{"/d.wav", "no file is new: 1 file carried before, or about to be; 1 file with the content of another, carried once"},
	} {
		at.Source = web.URL + c.path
		in.ok(in.book.Put(t.Context(), at))
		if f := in.run(in.fire()); c.left == "" {
			in.holds(f, 1)
		} else {
			in.idle(f, c.left)
		}
		in.idle(in.run(in.fire()), "no file is new: 1 file carried before, or about to be")
	}
}

// TestAFiringsArchive: its session's results go there, and are no files of the schedule.
func TestAFiringsArchive(t *testing.T) {
	in := newInbox(t, func(e *schedule.Entry) { e.Archive = filepath.Join(e.Source, "kept") })
	in.tune("1.wav", 1)
	in.tune("kept/old.wav", 2)
	f := in.run(in.fire())
	in.holds(f, 1)
	current, err := in.store.Session(t.Context(), f.Session)
	if err != nil || current.Archive != filepath.Join(in.dir, "kept") {
		t.Errorf("the session's archive is %q, %v; want the schedule's", current.Archive, err)
	}
}
