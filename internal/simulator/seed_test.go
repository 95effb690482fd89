package simulator_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/simulator"
)

// TestSameSeedSameFaults compares what three simulators do to 300 requests.
func TestSameSeedSameFaults(t *testing.T) {
	outcome := func(seed int64, polls int) string {
		c := &clock{}
		sim, err := simulator.New(simulator.Options{
			Seed: seed, Now: c.now, NoFetch: true,
			Faults: simulator.Faults{simulator.RateLimited: 0.2, simulator.ErrorAfter: 0.2, simulator.Denied: 0.05, simulator.OperationFailed: 0.1},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = sim.Close() }()
		var line strings.Builder
		for range 300 {
			for range polls { // faults of one endpoint must not depend on another's traffic
				direct(sim, http.MethodGet, statusPath+"x", "")
			}
			w := direct(sim, http.MethodPost, uploadPath, `{"audioUrl":"http://x/a"}`)
			line.WriteString("<" + strconv.Itoa(w.Code) + ">" + w.Body.String())
		}
		return line.String()
	}
	first := outcome(42, 0)
	if second := outcome(42, 3); first != second {
		t.Error("the same seed and clock gave different answers")
	}
	if other := outcome(43, 0); first == other {
		t.Error("another seed gave the same answers")
	}
	// Five standard deviations around the mean, so that a skewed draw shows:
	// 429 at 0.2; 500 at 0.8 * 0.95 * 0.2 (not limited, not denied); 401 at 0.05.
	for word, between := range map[string][2]int{"<429>": {26, 94}, "<500>": {13, 79}, "<401>": {1, 34}} {
		if n := strings.Count(first, word); n < between[0] || n > between[1] {
			t.Errorf("%d answers %s among 300, want %d to %d", n, word, between[0], between[1])
		}
	}
}

// direct calls the handler without a network.
func direct(sim *simulator.Simulator, method, path, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequestWithContext(context.Background(), method, path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer key")
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	sim.Handler().ServeHTTP(w, req)
	return w
}

func TestUndocumentedAnswersVaryBySeed(t *testing.T) {
	forms, generated := map[string]bool{}, map[int]bool{}
	for seed := int64(1); seed <= 20; seed++ {
		sim, err := simulator.New(simulator.Options{Seed: seed, NoFetch: true})
		if err != nil {
			t.Fatal(err)
		}
		w := direct(sim, http.MethodGet, statusPath+"x", "")
		var form map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &form); err != nil || w.Code != 404 {
			t.Errorf("seed %d: status %d, %s; want 404 and JSON", seed, w.Code, w.Body)
		}
		upload := direct(sim, http.MethodPost, uploadPath, `{"audioUrl":"http://x/a"}`)
		generated[direct(sim, http.MethodPost, generatePath, `{"task":"create","model":"chirp-v50"}`).Code] = true
		if upload.Code != 201 {
			t.Errorf("seed %d: upload answered %d, want the documented 201", seed, upload.Code)
		}
		switch {
		case form["statusCode"] != nil:
			forms["framework"] = true
		case form["code"] != nil:
			forms["code"] = true
		default:
			forms["nested"] = true
		}
		if err := sim.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if len(forms) != 3 {
		t.Errorf("twenty seeds show the error forms %v, want all three", forms)
	}
	if diff := cmp.Diff(map[int]bool{200: true, 201: true}, generated); diff != "" {
		t.Errorf("what generate answers over the seeds (-want +got):\n%s", diff)
	}
}
