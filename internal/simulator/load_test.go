package simulator_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/simulator"
)

// TestTenThousandItems fills one session and reads it back: the size that the
// product is measured with.
func TestTenThousandItems(t *testing.T) {
	const items = 10_000
	c := &clock{}
	sim, err := simulator.New(simulator.Options{
		Seed: 3, Now: c.now, NoFetch: true, UploadTime: simulator.Timing{Mean: time.Minute, Jitter: time.Minute},
		Keys: map[string]simulator.Account{"key": {Name: "main", Credits: 2 * items}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sim.Close() }()
	session := strings.Split(direct(sim, http.MethodPost, sessionPath, "").Body.String(), `"`)[3]
	for range items {
		if w := direct(sim, http.MethodPost, itemPath, `{"sessionId":"`+session+`","audioUrl":"http://source/a.mp3"}`); w.Code != 201 {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
	}
	if err := sim.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	listed := func() int {
		var answer struct{ Data struct{ AudioIDs []string } }
		if err := json.Unmarshal(direct(sim, http.MethodGet, statusPath+session, "").Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		return len(answer.Data.AudioIDs)
	}
	if got := listed(); got > items/100 {
		t.Errorf("%d items listed at once, want hardly any", got)
	}
	c.advance(time.Minute)
	if got := listed(); got < 4500 || got > 5500 {
		t.Errorf("%d items listed after the mean time, want about half", got)
	}
	c.advance(time.Minute)
	if got := listed(); got != items {
		t.Errorf("%d items listed in the end, want %d", got, items)
	}
	if v := sim.Verdict(); v.ExtraCharges != items-1 || v.UnseenResults != 0 || v.Credits != 2*items {
		t.Errorf("%d extra charges, %d unseen, %d credits; want %d (all sent the same song), 0, %d", v.ExtraCharges, v.UnseenResults, v.Credits, items-1, 2*items)
	}
}

// TestManyClientsAtOnce checks the books after concurrent traffic with faults.
func TestManyClientsAtOnce(t *testing.T) {
	const clients, each = 16, 25
	r := newRig(t, func(o *simulator.Options) {
		o.Faults = simulator.Faults{simulator.DropAfter: 0.1, simulator.DropBefore: 0.1, simulator.RateLimited: 0.1, simulator.StatusError: 0.1}
		o.UploadTime = simulator.Timing{Mean: 1}
		o.NoFetch = true
	})
	r.client.Transport = &http.Transport{MaxIdleConnsPerHost: clients}
	session := r.session()
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() {
			for i := range each {
				address := "http://source/" + string(rune('a'+n)) + "/" + string(rune('a'+i))
				r.do(http.MethodPost, itemPath, "key", map[string]any{"sessionId": session, "audioUrl": address})
				r.do(http.MethodGet, statusPath+session, "key", nil)
				r.sim.Verdict()
			}
		})
	}
	wg.Wait()
	if err := r.sim.SetFaults(nil); err != nil {
		t.Fatal(err)
	}
	r.settle(time.Second)
	charges := r.sim.Charges()
	ids := listAt(r.status(session), "data", "audioIds")
	distinct := map[any]bool{}
	for _, id := range ids {
		distinct[id] = true
	}
	if len(charges) == 0 || len(charges) == clients*each || len(ids) != len(charges) || len(distinct) != len(ids) {
		t.Errorf("%d charges, %d audioIds (%d distinct) for %d requests with faults; want as many ids as charges", len(charges), len(ids), len(distinct), clients*each)
	}
	for i, c := range charges {
		if c.Seq != i+1 || c.After != 10000-2*int64(i+1) {
			t.Fatalf("charge %d has seq %d and balance %d, want %d and %d", i, c.Seq, c.After, i+1, 10000-2*(i+1))
		}
	}
	if v := r.sim.Verdict(); v.ExtraCharges != 0 || v.UnseenResults != 0 || v.AnswersLost == 0 {
		t.Errorf("%d extra, %d unseen, %d answers lost; want 0, 0 and some", v.ExtraCharges, v.UnseenResults, v.AnswersLost)
	}
}

// BenchmarkLoopback is a submission and a question over a real connection.
func BenchmarkLoopback(b *testing.B) {
	sim, err := simulator.New(simulator.Options{NoFetch: true, Journal: b.TempDir() + "/sim.jsonl", Keys: map[string]simulator.Account{"key": {Credits: 1 << 40}}})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = sim.Close() }()
	server := httptest.NewServer(sim.Handler())
	defer server.Close()
	ask := func(method, path, body string) string {
		req, err := http.NewRequestWithContext(b.Context(), method, server.URL+path, strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer key")
		req.Header.Set("Content-Type", "application/json")
		res, err := server.Client().Do(req)
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		answer, err := io.ReadAll(res.Body)
		if err != nil {
			b.Fatal(err)
		}
		return string(answer)
	}
	for b.Loop() {
		answer := ask(http.MethodPost, uploadPath, `{"audioUrl":"http://source/a.mp3"}`)
		ask(http.MethodGet, statusPath+strings.Split(answer, `"`)[3], "")
	}
}

// BenchmarkItem is one accepted submission, without network or downloads.
func BenchmarkItem(b *testing.B) {
	sim, err := simulator.New(simulator.Options{
		NoFetch: true, Journal: b.TempDir() + "/sim.jsonl", Faults: simulator.Mild(), FaultDelay: 1,
		Keys: map[string]simulator.Account{"key": {Credits: 1 << 40}},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = sim.Close() }()
	if err := sim.SetFaults(simulator.Faults{simulator.OperationFailed: 0.01, simulator.ErrorAfter: 0.01}); err != nil {
		b.Fatal(err)
	}
	session := strings.Split(direct(sim, http.MethodPost, sessionPath, "").Body.String(), `"`)[3]
	body := `{"sessionId":"` + session + `","audioUrl":"http://source/a.mp3"}`
	b.ReportAllocs()
	for b.Loop() {
		direct(sim, http.MethodPost, itemPath, body)
	}
}

// BenchmarkStatus asks about one of ten thousand operations.
func BenchmarkStatus(b *testing.B) {
	sim, err := simulator.New(simulator.Options{NoFetch: true, Keys: map[string]simulator.Account{"key": {Credits: 1 << 40}}})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = sim.Close() }()
	var task string
	for range 10_000 {
		task = strings.Split(direct(sim, http.MethodPost, uploadPath, `{"audioUrl":"http://source/a.mp3"}`).Body.String(), `"`)[3]
	}
	b.ReportAllocs()
	for b.Loop() {
		direct(sim, http.MethodGet, statusPath+task, "")
	}
}

// BenchmarkTrack is one download of a result file.
func BenchmarkTrack(b *testing.B) {
	c := &clock{}
	sim, err := simulator.New(simulator.Options{Now: c.now, Keys: map[string]simulator.Account{"key": {Credits: 100}}})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = sim.Close() }()
	task := strings.Split(direct(sim, http.MethodPost, generatePath, `{"task":"create","model":"chirp-v50"}`).Body.String(), `"`)[3]
	c.advance(time.Hour)
	answer := direct(sim, http.MethodGet, statusPath+task, "").Body.String()
	_, file, _ := strings.Cut(answer, "/cdn/")
	file, _, _ = strings.Cut("/cdn/"+file, `"`)
	b.SetBytes(int64(direct(sim, http.MethodGet, file, "").Body.Len()))
	for b.Loop() {
		direct(sim, http.MethodGet, file, "")
	}
}
