package session_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/session"
)

// onBoth runs a test against the in-process Redis and against a real one: the
// scripts must mean the same to both.
func onBoth(t *testing.T, test func(t *testing.T, rdb redis.UniversalClient)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		rdb, _ := redistest.Mini(t)
		test(t, rdb)
	})
	t.Run("redis-server", func(t *testing.T) {
		_, rdb := redistest.Server(t)
		test(t, rdb)
	})
}

var extendPlan = []session.StepName{session.StepUpload, session.StepExtend, session.StepFetch}

// submitted creates a sealed session of n items.
func submitted(t *testing.T, store *session.Store, n int, plan []session.StepName) string {
	t.Helper()
	id, err := session.NewID()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Create(t.Context(), session.Spec{ID: id, Provider: "sim", Account: "main"}, false); err != nil {
		t.Fatal(err)
	}
	items := make([]session.New, n)
	for i := range items {
		items[i].Item = session.NewItem(session.Source{Name: fmt.Sprintf("%d.mp3", i), Path: fmt.Sprintf("/in/%d.mp3", i)}, plan, nil)
	}
	if _, err := store.Add(t.Context(), id, 0, items, time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Seal(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	return id
}

// succeed takes an upload-only item to its end and returns the completion.
func succeed(t *testing.T, store *session.Store, id string, index int, clip string) int {
	t.Helper()
	work, err := store.Load(t.Context(), id, index)
	if err != nil {
		t.Fatal(err)
	}
	it := &work.Item
	if err := it.Take(session.Claim{Token: "t", Worker: "w", Credits: 2}, true); err != nil {
		t.Fatal(err)
	}
	if err := store.WriteClaim(t.Context(), it, time.Second); err != nil {
		t.Fatal(err)
	}
	if err := it.Accept("t", &provider.Accepted{OperationID: "op-" + clip}, work.Now); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Write(t.Context(), it, time.Second); err != nil {
		t.Fatal(err)
	}
	if err := it.Finish("op-"+clip, &provider.State{Done: true, Clip: &provider.Clip{ID: clip}}, work.Now); err != nil {
		t.Fatal(err)
	}
	written, err := store.Write(t.Context(), it, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return written.Completion
}

func TestSessionCompletesOnceAndAggregatesInInputOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb redis.UniversalClient) {
		store := session.NewStore(rdb)
		id := submitted(t, store, 3, []session.StepName{session.StepUpload})
		if got := succeed(t, store, id, 2, "c"); got != 0 {
			t.Errorf("completion after 1 of 3 = %d, want 0", got)
		}
		if got := succeed(t, store, id, 0, "a"); got != 0 {
			t.Errorf("completion after 2 of 3 = %d, want 0", got)
		}
		if got := succeed(t, store, id, 1, "b"); got != 1 {
			t.Errorf("completion after the last = %d, want 1", got)
		}
		view, err := store.View(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"a", "b", "c"}, view.AudioIDs); diff != "" {
			t.Errorf("audioIds (-want +got):\n%s", diff)
		}
		aggregate, err := store.AudioIDs(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"a", "b", "c"}, aggregate); diff != "" {
			t.Errorf("AudioIDs (-want +got):\n%s", diff)
		}
		if view.Status != "succeeded" || view.CreditsSpent != 6 {
			t.Errorf("status %q, credits %v; want succeeded, 6", view.Status, view.CreditsSpent)
		}
		if want := (session.Tally{Total: 3, Succeeded: 3}); view.Counts != want {
			t.Errorf("counts %+v, want %+v", view.Counts, want)
		}
		var firsts int
		for range 3 {
			first, err := store.Settle(t.Context(), id, 1)
			if err != nil {
				t.Fatal(err)
			}
			if first {
				firsts++
			}
		}
		if firsts != 1 {
			t.Errorf("%d callers were first to settle, want 1", firsts)
		}
	})
}

func TestEmptySessionCompletesWhenSealed(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb redis.UniversalClient) {
		store := session.NewStore(rdb)
		id, err := session.NewID()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := store.Create(t.Context(), session.Spec{ID: id}, false); err != nil {
			t.Fatal(err)
		}
		for n, want := range []int{1, 0} {
			if got, err := store.Seal(t.Context(), id); err != nil || got != want {
				t.Errorf("Seal number %d = %d, %v; want completion %d", n+1, got, err, want)
			}
		}
		current, err := store.Session(t.Context(), id)
		if err != nil || current.Status() != session.StatusSucceeded {
			t.Errorf("session of no items: %+v, %v; want succeeded", current, err)
		}
	})
}

func TestAddingIsIdempotent(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb redis.UniversalClient) {
		store := session.NewStore(rdb)
		id, err := session.NewID()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Add(t.Context(), id, 0, make([]session.New, 0), 0); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("Add to no session = %v, want not_found", err)
		}
		if _, _, err := store.Create(t.Context(), session.Spec{ID: id}, true); err != nil {
			t.Fatal(err)
		}
		item := func(key, name string) session.New {
			return session.New{Key: key, Item: session.NewItem(session.Source{Name: name}, extendPlan, nil)}
		}
		first, err := store.Add(t.Context(), id, -1, []session.New{item("", "a"), item("k", "b")}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		again, err := store.Add(t.Context(), id, -1, []session.New{item("k", "b"), item("", "c")}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]session.Added{{Index: 0}, {Index: 1}}, first); diff != "" {
			t.Errorf("first Add (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]session.Added{{Index: 1, Existed: true}, {Index: 2}}, again); diff != "" {
			t.Errorf("second Add (-want +got):\n%s", diff)
		}
		if _, err := store.Seal(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Add(t.Context(), id, -1, []session.New{item("", "d")}, 0); fault.CodeOf(err) != fault.Conflict {
			t.Errorf("Add after Seal = %v, want conflict", err)
		}
		current, err := store.Session(t.Context(), id)
		if err != nil || current.Total != 3 || current.Counts["upload.queued"] != 3 {
			t.Errorf("session %+v, %v; want 3 items at upload.queued", current, err)
		}
	})
}

func TestKeyIsOneSession(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb redis.UniversalClient) {
		store := session.NewStore(rdb)
		for _, fresh := range []string{"ses_1", "ses_2", "ses_3"} {
			if got, err := store.Reserve(t.Context(), "order-1", fresh); err != nil || got != "ses_1" {
				t.Errorf("Reserve(order-1, %s) = %q, %v; want ses_1", fresh, got, err)
			}
		}
		id, err := session.NewID()
		if err != nil {
			t.Fatal(err)
		}
		if _, created, err := store.Create(t.Context(), session.Spec{ID: id, Digest: "x"}, false); err != nil || !created {
			t.Errorf("first Create: created %v, %v; want true", created, err)
		}
		if _, created, err := store.Create(t.Context(), session.Spec{ID: id, Digest: "x"}, false); err != nil || created {
			t.Errorf("second Create: created %v, %v; want false", created, err)
		}
		if _, _, err := store.Create(t.Context(), session.Spec{ID: id, Digest: "y"}, false); fault.CodeOf(err) != fault.Conflict {
			t.Errorf("Create with other contents = %v, want conflict", err)
		}
	})
}

// TestOneOfManyClaims is P1 at the store: of many workers that read the same
// queued step, one claims it.
func TestOneOfManyClaims(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb redis.UniversalClient) {
		store := session.NewStore(rdb)
		id := submitted(t, store, 1, extendPlan)
		var claimed, conflicts atomic.Int32
		var wg sync.WaitGroup
		for n := range 32 {
			wg.Go(func() {
				work, err := store.Load(t.Context(), id, 0)
				if err != nil {
					t.Error(err)
					return
				}
				if work.Item.Take(session.Claim{Token: fmt.Sprint(n), Worker: "w"}, true) != nil {
					conflicts.Add(1)
					return
				}
				err = store.WriteClaim(t.Context(), &work.Item, time.Second)
				switch fault.CodeOf(err) {
				case "":
					claimed.Add(1)
				case fault.Conflict:
					conflicts.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if claimed.Load() != 1 || conflicts.Load() != 31 {
			t.Errorf("%d claims, %d conflicts; want 1 and 31", claimed.Load(), conflicts.Load())
		}
	})
}

func TestCanceledSessionRefusesClaims(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb redis.UniversalClient) {
		store := session.NewStore(rdb)
		id := submitted(t, store, 2, extendPlan)
		before, err := store.Load(t.Context(), id, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if err := before.Item.Take(session.Claim{Token: "t"}, true); err != nil {
			t.Fatal(err)
		}
		if err := store.WriteClaim(t.Context(), &before.Item, time.Second); fault.CodeOf(err) != fault.Canceled {
			t.Errorf("claim after cancel = %v, want canceled", err)
		}
		current, err := store.Session(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if want := (session.Tally{Total: 2, Canceled: 2}); current.Tally() != want || current.Status() != session.StatusCanceled {
			t.Errorf("after one write: %+v %s, want %+v canceled", current.Tally(), current.Status(), want)
		}
	})
}

func TestSweepFindsWhatIsDueAndOwed(t *testing.T) {
	rdb, mini := redistest.Mini(t)
	store := session.NewStore(rdb)
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	mini.SetTime(start)
	id := submitted(t, store, 3, []session.StepName{session.StepUpload})
	admitted(t, store, id, session.StepUpload, 2)
	look := func(after time.Duration) *session.Overdue {
		t.Helper()
		mini.SetTime(start.Add(after))
		overdue, err := store.Overdue(t.Context(), id, 10)
		if err != nil {
			t.Fatal(err)
		}
		return overdue
	}
	if got := look(59 * time.Second); len(got.Indexes) != 0 || got.Over {
		t.Errorf("before its time: %+v, want nothing", got)
	}
	if got := look(61 * time.Second); !cmp.Equal(got.Indexes, []int{0, 1}) {
		t.Errorf("after a minute: %v, want [0 1]", got.Indexes)
	}
	if _, err := store.Defer(t.Context(), id, time.Minute, 0); err != nil {
		t.Fatal(err)
	}
	if got := look(62 * time.Second); !cmp.Equal(got.Indexes, []int{1}) {
		t.Errorf("after deferring 0: %v, want [1]", got.Indexes)
	}
	succeed(t, store, id, 0, "a")
	succeed(t, store, id, 1, "b")
	succeed(t, store, id, 2, "c")
	if got := look(65 * time.Second); len(got.Completions) != 0 || got.Over {
		t.Errorf("just completed: %+v, want no completion owed for long", got)
	}
	if got := look(80 * time.Second); !cmp.Equal(got.Completions, []int{1}) || len(got.Indexes) != 0 {
		t.Errorf("owed for 15 s: %+v, want completion 1 and no index", got)
	}
	if _, err := store.Settle(t.Context(), id, 1); err != nil {
		t.Fatal(err)
	}
	if got := look(81 * time.Second); !got.Over {
		t.Errorf("settled: %+v, want over", got)
	}
}

func TestWorkersAreDeadAfterSilence(t *testing.T) {
	rdb, mini := redistest.Mini(t)
	store := session.NewStore(rdb)
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for n, worker := range []string{"early", "late"} {
		mini.SetTime(start.Add(time.Duration(n) * 4 * time.Second))
		if _, err := store.Beat(t.Context(), worker); err != nil {
			t.Fatal(err)
		}
	}
	mini.SetTime(start.Add(7 * time.Second))
	alive, err := store.Workers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]bool{"late": true}, alive); diff != "" {
		t.Errorf("alive (-want +got):\n%s", diff)
	}
}

func TestReadingWhatIsNotThere(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	store := session.NewStore(rdb)
	id, err := session.NewID()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{id, "ses_x", "*", "", strings.Repeat("a", 5000)} {
		if _, err := store.Session(t.Context(), name); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("Session(%.20q) = %v, want not_found", name, err)
		}
		if _, err := store.Load(t.Context(), name, 0); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("Load(%.20q) = %v, want not_found", name, err)
		}
	}
}

// TestIdleItemCost holds an idle item to 1 KB in a real Redis, everything counted:
// the item, its place in the sweep's list, and its delayed asynq task is not ours.
func TestIdleItemCost(t *testing.T) {
	_, rdb := redistest.Server(t)
	store := session.NewStore(rdb)
	const n = 10000
	before := usedMemory(t, rdb)
	id, err := session.NewID()
	if err != nil {
		t.Fatal(err)
	}
	params := &provider.Params{Model: "chirp-v50", ContinueAt: -5, Prompt: strings.Repeat("la ", 50)}
	if _, _, err := store.Create(t.Context(), session.Spec{ID: id, Provider: "sim", Account: "main", Params: params}, false); err != nil {
		t.Fatal(err)
	}
	for from := 0; from < n; from += 500 {
		items := make([]session.New, 500)
		for i := range items {
			items[i].Item = session.NewItem(session.Source{
				Name: fmt.Sprintf("songs/album one/%05d some title.mp3", from+i),
				Path: fmt.Sprintf("/home/musician/music/songs/album one/%05d some title.mp3", from+i), Format: "mp3",
				Size: 4_812_331, ModTime: 1763800000000000000, SHA256: strings.Repeat("ab", 32), Duration: 187.432,
			}, extendPlan, nil)
		}
		if _, err := store.Add(t.Context(), id, from, items, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	perItem := (usedMemory(t, rdb) - before) / n
	t.Logf("%d bytes per idle item", perItem)
	if perItem > 1024 {
		t.Errorf("%d bytes per idle item, want at most 1024", perItem)
	}
}

func usedMemory(t *testing.T, rdb redis.UniversalClient) int64 {
	t.Helper()
	info, err := rdb.InfoMap(t.Context(), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	var used int64
	if _, err := fmt.Sscan(info["Memory"]["used_memory"], &used); err != nil {
		t.Fatal(err)
	}
	return used
}

// uploads stores a session of n items that are about to be uploaded.
func uploads(t *testing.T, store *session.Store, n int) string {
	t.Helper()
	id, err := session.NewID()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Create(t.Context(), session.Spec{ID: id}, true); err != nil {
		t.Fatal(err)
	}
	items := make([]session.New, n)
	for i := range items {
		items[i].Item = session.NewItem(session.Source{Name: "a.mp3"}, session.PlanFor(true), nil)
	}
	if _, err := store.Add(t.Context(), id, 0, items, time.Minute); err != nil {
		t.Fatal(err)
	}
	return id
}

// TestAnIntentThatNoReplicaHas is written, and says that it might be forgotten.
func TestAnIntentThatNoReplicaHas(t *testing.T) {
	_, rdb := redistest.Server(t)
	store := session.NewStore(rdb)
	id := uploads(t, store, 2)
	claim := func(index int) error {
		work, err := store.Load(t.Context(), id, index)
		if err != nil {
			t.Fatal(err)
		}
		if err := work.Item.Take(session.Claim{Token: "t"}, true); err != nil {
			t.Fatal(err)
		}
		return store.WriteClaim(t.Context(), &work.Item, time.Minute)
	}
	if err := claim(0); err != nil {
		t.Errorf("where no replica is demanded: %v", err)
	}
	store.Replicate(1)
	if err := claim(1); !errors.Is(err, session.ErrUnconfirmed) || fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("where there is no replica: %v, want unavailable, unconfirmed", err)
	}
	work, err := store.Load(t.Context(), id, 1)
	if err != nil || work.Item.State != session.Sending {
		t.Errorf("the item is %s, %v; want sending: it was written", work.Item.State, err)
	}
}

// TestAWriteThatIsSentTwice: its reply was lost, and the client sends it again.
func TestAWriteThatIsSentTwice(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	store := session.NewStore(rdb)
	id := uploads(t, store, 1)
	work, err := store.Load(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	mine := work.Item
	if err := mine.Take(session.Claim{Token: "mine"}, true); err != nil {
		t.Fatal(err)
	}
	again, theirs := mine, work.Item
	if err := theirs.Take(session.Claim{Token: "theirs"}, true); err != nil {
		t.Fatal(err)
	}
	for n, it := range []*session.Item{&mine, &again} {
		if _, err := store.Write(t.Context(), it, time.Minute); err != nil || it.Epoch != 2 {
			t.Errorf("time %d: epoch %d, %v; want 2", n+1, it.Epoch, err)
		}
	}
	if _, err := store.Write(t.Context(), &theirs, time.Minute); fault.CodeOf(err) != fault.Conflict {
		t.Errorf("somebody else's claim: %v, want conflict", err)
	}
}

// Whoever schedules a task must know by how much the fastest clock is ahead: that one
// wakes it.
func TestBeatTellsHowFarTheFastestClockIsAhead(t *testing.T) {
	rdb, mini := redistest.Mini(t)
	store := session.NewStore(rdb)
	beat := func(worker string, clockAhead time.Duration) time.Duration {
		t.Helper()
		mini.SetTime(time.Now().Add(-clockAhead)) // ours is ahead by as much as Redis's is behind
		lead, err := store.Beat(t.Context(), worker)
		if err != nil {
			t.Fatal(err)
		}
		return lead
	}
	if got := beat("right", 0); got != 0 {
		t.Errorf("alone: %s, want 0", got)
	}
	// The clock of Redis goes back by five minutes for this one, so that the others' beats
	// are in the future and count as alive.
	if got := beat("fast", 5*time.Minute); got != 0 {
		t.Errorf("the fastest: %s, want 0", got)
	}
	if got := beat("right", 0); got != 0 {
		t.Errorf("with a fast one that is silent for five minutes: %s, want 0", got)
	}
	mini.SetTime(time.Now())
	if err := rdb.ZAdd(t.Context(), "segue:workers", redis.Z{Score: float64(time.Now().UnixMilli()), Member: "fast"}).Err(); err != nil {
		t.Fatal(err)
	}
	if got := beat("right", 0); got != 5*time.Minute {
		t.Errorf("with a living one that is five minutes ahead: %s, want 5m", got)
	}
	if err := store.Leave(t.Context(), "fast"); err != nil {
		t.Fatal(err)
	}
	if got := beat("right", 0); got != 0 {
		t.Errorf("after it left: %s, want 0", got)
	}
}
