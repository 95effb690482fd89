package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/bulk"
	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/doctor"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/provider/all"
	"github.com/segue-audio/segue/internal/queue"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/schedule"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

// inbox is a folder and a schedule over it, on a Segue without workers.
type inbox struct {
	*system
	t    *testing.T
	dir  string
	book *schedule.Store
	mini *miniredis.Miniredis
}

func newInbox(t *testing.T, change func(*schedule.Entry), environ ...string) *inbox {
	t.Helper()
	rdb, mini := redistest.Mini(t)
	a := &app{providers: all.Providers(), buckets: &buckets{}}
	cfg, err := config.Load(config.Options{
		Home: t.TempDir(), Drivers: a.drivers(), Environ: append([]string{
			"SEGUE_REDIS_URL=redis://127.0.0.1:6379/0", "SEGUE_PROVIDERS_STUDIO_DRIVER=sim", "SEGUE_PROVIDERS_STUDIO_BASE_URL=http://127.0.0.1:1",
		}, environ...),
	})
	if err != nil {
		t.Fatal(err)
	}
	in := &inbox{
		system: &system{
			app: a, cfg: cfg, log: slog.New(slog.DiscardHandler), rdb: rdb, queue: queue.New(rdb),
			store: session.NewStore(rdb), ledger: ledger.New(rdb), gate: account.NewGate(rdb), client: enqueue.NewFromRedis(rdb),
			index: bulk.NewIndex(rdb, 0),
		},
		t: t, dir: t.TempDir(), book: schedule.NewStore(rdb), mini: mini,
	}
	e := schedule.Entry{Name: "x", Cron: "@yearly", Source: in.dir, Provider: "studio"}
	if change != nil {
		change(&e)
	}
	in.ok(in.book.Put(t.Context(), e))
	return in
}

func (in *inbox) ok(err error) {
	in.t.Helper()
	if err != nil {
		in.t.Fatal(err)
	}
}

// tune writes a file of two seconds whose sound depends on its number.
func (in *inbox) tune(name string, number int) {
	in.t.Helper()
	in.ok(place(filepath.Join(in.dir, name), tune(number)))
}

// tune is two seconds of sound that depend on a number.
func tune(number int) []byte {
	const rate, size = 1000, 2000
	wav := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00")
	wav = binary.LittleEndian.AppendUint32(wav, rate)
	wav = binary.LittleEndian.AppendUint32(wav, rate)
	wav = append(wav, 1, 0, 8, 0)
	wav = append(wav, "data"...)
	wav = binary.LittleEndian.AppendUint32(wav, size)
	sound := make([]byte, size)
	copy(sound, fmt.Sprint(number))
	wav = append(wav, sound...)
	binary.LittleEndian.PutUint32(wav[4:], uint32(len(wav)-8))
	return wav
}

// fire starts a firing by hand, without its task.
func (in *inbox) fire() tasks.Run {
	in.t.Helper()
	f, err := in.book.RunNow(in.t.Context(), "x", "")
	in.ok(err)
	return tasks.Run{V: 1, Schedule: "x", Fire: f.Fire}
}

// cutOff does a part of a firing's task, as a worker does that is killed.
func (in *inbox) cutOff(p tasks.Run, part func(c *carrier) error) {
	in.t.Helper()
	f, err := in.book.Firing(in.t.Context(), p.Schedule, p.Fire)
	in.ok(err)
	c := &carrier{system: in.system, Firing: f, book: in.book}
	in.ok(c.prepare(in.t.Context()))
	in.ok(part(c))
}

// run executes a firing's task, and gives what the firing is by then.
func (in *inbox) run(p tasks.Run) schedule.Firing {
	in.t.Helper()
	in.ok(in.bulk(in.t.Context(), p))
	f, err := in.book.Firing(in.t.Context(), p.Schedule, p.Fire)
	in.ok(err)
	return f
}

// over ends the firings whose tasks are done, as a scheduler does when their sessions
// have ended.
func (in *inbox) over() {
	in.t.Helper()
	in.mini.SetTime(time.Now().Add(time.Minute))
	role := schedule.Scheduler{
		Store: in.book, Log: in.log,
		Enqueue: func(context.Context, schedule.Firing) error { return nil },
		Active:  func(context.Context, string) (bool, error) { return false, nil },
	}
	in.ok(role.Tick(in.t.Context()))
}

// holds says how many files a session must have, sealed, each once.
func (in *inbox) holds(f schedule.Firing, want int) {
	in.t.Helper()
	current, err := in.store.Session(in.t.Context(), f.Session)
	in.ok(err)
	names := map[string]bool{}
	in.ok(in.store.Each(in.t.Context(), f.Session, 0, 0, func(it *session.Item) error {
		names[it.Source.Name] = true
		return nil
	}))
	if current.Total != want || len(names) != want || !current.Sealed {
		in.t.Errorf("session of %s has %d items, %d of them different, sealed %t; want %d, sealed", f.ID(), current.Total, len(names), current.Sealed, want)
	}
}

// TestAFiringThatIsCutOff goes on where it was, in the same session, and carries also
// what has come since.
func TestAFiringThatIsCutOff(t *testing.T) {
	for _, c := range []struct {
		name string
		part func(ctx context.Context, c *carrier) error
		// late is whether what comes afterwards is still carried.
		late bool
	}{
		{"before it has begun", func(context.Context, *carrier) error { return nil }, true},
		{"when its session is begun", func(ctx context.Context, c *carrier) error {
			_, err := c.client.Submit(ctx, c.asks)
			return err
		}, true},
		{"when its files are in", func(ctx context.Context, c *carrier) error { return c.carryAll(ctx) }, true},
		{"when its session is sealed", func(ctx context.Context, c *carrier) error {
			return errors.Join(c.carryAll(ctx), c.client.Seal(ctx, c.session))
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := newInbox(t, nil)
			in.tune("1.wav", 1)
			in.tune("2.wav", 2)
			p := in.fire()
			in.cutOff(p, func(at *carrier) error { return c.part(t.Context(), at) })
			in.tune("3.wav", 3)
			f := in.run(p)
			if c.late {
				in.holds(f, 3)
			} else {
				in.holds(f, 2)
			}
			// Delivered once more, it does nothing.
			in.tune("4.wav", 4)
			if again := in.run(p); again.Session != f.Session {
				t.Errorf("again it is session %s, want %s", again.Session, f.Session)
			}
			next := in.run(in.fire())
			if c.late {
				in.holds(next, 1)
			} else {
				in.holds(next, 2)
			}
			ids, err := in.store.Recent(t.Context(), 10)
			if err != nil || len(ids) != 2 {
				t.Errorf("%d sessions, %v; want one for each of two firings", len(ids), err)
			}
		})
	}
}

// TestAFiringOfManyFiles: more than one part of them.
func TestAFiringOfManyFiles(t *testing.T) {
	in := newInbox(t, nil)
	const many = 2*atOnce + 7
	for n := range many {
		in.tune(fmt.Sprintf("%d.wav", n), n)
	}
	in.holds(in.run(in.fire()), many)
	f := in.run(in.fire())
	if f.Session != "" || f.Reason != fmt.Sprintf("no file is new: %d files carried before, or about to be", many) {
		t.Errorf("the next firing is %q with %q, want nothing to do", f.Session, f.Reason)
	}
}

// TestAFiringThatFindsNothing says whether a person should look.
func TestAFiringThatFindsNothing(t *testing.T) {
	for _, c := range []struct {
		name, source, want string
		state              schedule.State
	}{
		{"an empty directory", ".", "the directory is empty", schedule.Started},
		{"a pattern without a match", "*.mp3", "matches nothing", schedule.Started},
		{"a directory that is away", "gone", "there is no such file", schedule.Failed},
		{"a pattern below it", "gone/*.mp3", "matches nothing", schedule.Failed},
		{"a broken pattern", "[.mp3", "the pattern is broken", schedule.Failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := newInbox(t, func(e *schedule.Entry) { e.Source = filepath.Join(e.Source, c.source) })
			if f := in.run(in.fire()); f.State != c.state || f.Session != "" || f.Ended.IsZero() || !strings.Contains(f.Reason, c.want) {
				t.Errorf("the firing is %s with %q, want %s with %q", f.State, f.Reason, c.state, c.want)
			}
		})
	}
}

// TestBudgetsLeaveFilesToLaterFirings: a firing takes what its budget pays for.
func TestBudgetsLeaveFilesToLaterFirings(t *testing.T) {
	three := 3 * priceOfUpload(t)
	in := newInbox(t, func(e *schedule.Entry) { e.Budget = &three })
	for n := range 5 {
		in.tune(fmt.Sprintf("%d.wav", n), n)
	}
	first := in.run(in.fire())
	in.holds(first, 3)
	if f := in.run(in.fire()); f.Session != "" {
		t.Errorf("beside it, another became %s, want nothing: the first may still take the rest", f.Session)
	}
	in.over()
	second := in.run(in.fire())
	in.holds(second, 2)
	if want := "2 new files left to a later firing: the budget allows no more"; first.Reason != want || second.Reason != "" {
		t.Errorf("reasons %q and %q, want %q and none", first.Reason, second.Reason, want)
	}
	current, err := in.store.Session(t.Context(), first.Session)
	in.ok(err)
	if current.Budget == nil || *current.Budget != three || len(current.Limits) != 2 || current.Limits[0].Key != "x" {
		t.Errorf("budgets of the session: %v, %+v; want the firing's, and the schedule's two", current.Budget, current.Limits)
	}
}

func priceOfUpload(t *testing.T) float64 {
	t.Helper()
	info, err := all.Providers().Info("sim")
	if err != nil || info.Prices.Upload <= 0 {
		t.Fatalf("an upload to sim costs %g, %v; want something", info.Prices.Upload, err)
	}
	return info.Prices.Upload
}

// TestAFiringThatNobodyKnows: there is nothing to try again.
func TestAFiringThatNobodyKnows(t *testing.T) {
	in := newInbox(t, nil)
	err := in.bulk(t.Context(), tasks.Run{V: 1, Schedule: "x", Fire: "1795341600"})
	if fault.CodeOf(err) != fault.NotFound {
		t.Errorf("%v, want not_found", err)
	}
}

// TestAWorkerThatDoesNotKnowTheProvider leaves the firing to others, for so long.
func TestAWorkerThatDoesNotKnowTheProvider(t *testing.T) {
	in := newInbox(t, func(e *schedule.Entry) { e.Provider = "elsewhere" })
	p := in.fire()
	if err := in.bulk(t.Context(), p); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("%v, want unavailable", err)
	}
	in.cfg.Worker.GiveUp = -time.Second // it was a day ago
	if f := in.run(p); f.State != schedule.Failed || f.Reason != "this worker does not know provider elsewhere" {
		t.Errorf("the firing is %s with %q, want failed", f.State, f.Reason)
	}
}

// TestATouchedFileIsNotNew also when it was moved or copied.
func TestATouchedFileIsNotNew(t *testing.T) {
	in := newInbox(t, nil)
	in.tune("1.wav", 1)
	in.holds(in.run(in.fire()), 1)
	in.tune("copy.wav", 1)
	old := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	in.ok(os.Chtimes(filepath.Join(in.dir, "1.wav"), old, old))
	if f := in.run(in.fire()); f.Session != "" || !strings.Contains(f.Reason, "2 files with the content of another") {
		t.Errorf("it became %q with %q, want nothing to do", f.Session, f.Reason)
	}
	in.tune("1.wav", 2) // another song under the same name
	in.holds(in.run(in.fire()), 1)
}

// TestSchedulesAreAttended: the doctor says when nobody decides about firings.
func TestSchedulesAreAttended(t *testing.T) {
	in := newInbox(t, nil)
	says := func(configured int, level doctor.Level, text string) {
		t.Helper()
		found := attended(t.Context(), in.book, configured)
		if len(found) != 1 || found[0].Level != level || !strings.Contains(found[0].Text, text) {
			t.Errorf("%+v, want one that is %s with %q", found, level, text)
		}
	}
	says(0, doctor.OK, "1 schedule, looked at")
	in.mini.SetTime(time.Now().Add(time.Hour))
	says(0, doctor.Warning, "nothing starts")
	in.ok(in.book.Remove(t.Context(), "x"))
	says(1, doctor.Warning, "no scheduler has read the configuration's schedules yet")
	if found := attended(t.Context(), in.book, 0); found != nil {
		t.Errorf("without schedules %+v, want nothing", found)
	}
}
