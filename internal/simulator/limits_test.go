package simulator_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/simulator"
)

// per is a Limit in few letters.
func per(requests int, span time.Duration, inFlight int) simulator.Limit {
	return simulator.Limit{Requests: requests, Per: simulator.Span(span), InFlight: inFlight}
}

func TestLimitsOfEachProvider(t *testing.T) {
	documented, none := per(20, 10*time.Second, 100), simulator.Limit{}
	for name, c := range map[string]struct {
		options simulator.Options
		want    map[string]simulator.Limit
	}{
		"by default": {
			simulator.Options{},
			map[string]simulator.Limit{"kie": documented, "apikley": documented, "sunoapi": documented},
		},
		"KIE's family without any": {
			simulator.Options{KIE: simulator.KIE{Requests: -1, InFlight: -1}},
			map[string]simulator.Limit{"kie": none, "apikley": none, "sunoapi": none},
		},
		"chosen": {
			simulator.Options{Limits: map[string]simulator.Limit{"kie": per(5, 2*time.Second, 8), "mountsea": per(0, 0, 3)}},
			map[string]simulator.Limit{"kie": per(5, 2*time.Second, 8), "apikley": documented, "sunoapi": documented, "mountsea": per(0, 0, 3)},
		},
	} {
		sim, err := simulator.New(c.options)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, sim.Limits()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestLimitsWithoutDocuments holds the providers to a limit that only an option
// gives them: per account, over all that costs credits.
func TestLimitsWithoutDocuments(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) {
		o.Limits = map[string]simulator.Limit{"mountsea": per(3, 10*time.Second, 4), "kkiai": per(1, time.Minute, 0)}
	})
	upload := func(key string) int {
		return r.do(http.MethodPost, uploadPath, key, map[string]any{"audioUrl": r.source("/wav/1/a")}).status
	}
	create := func() int {
		return r.do(http.MethodPost, generatePath, "key", map[string]any{"task": "create", "model": "chirp-v50"}).status / 100
	}
	got := []int{upload("key"), upload("key"), create(), upload("key"), upload("other")}
	r.settle(10*time.Second - 1)
	got = append(got, upload("key"))
	r.clock.advance(1) // the three are out of the window, and the uploads have ended
	got = append(got, upload("key"), upload("key"), upload("key"))
	r.settle(10 * time.Second) // the creation still runs
	got = append(got, create(), create(), create(), upload("key"))
	if diff := cmp.Diff([]int{201, 201, 2, 429, 201, 429, 201, 201, 201, 2, 2, 2, 429}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if v := r.sim.Verdict(); v.OverLimit != 3 || v.Charges != 10 || v.Clean {
		t.Errorf("%d over the limit, %d charges, clean %t; want 3, 10, false", v.OverLimit, v.Charges, v.Clean)
	}
}

func TestControlLimits(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.KIE.Errors = "status" })
	post := func(body any) reply { return r.do(http.MethodPost, "/_sim/limits", "", body) }
	good := post(map[string]any{"kie": map[string]any{"requests": 1, "per": "1m30s", "inFlight": 2}})
	want := `{"apikley":{"requests":20,"per":"10s","inFlight":100},"kie":{"requests":1,"per":"1m30s","inFlight":2},"sunoapi":{"requests":20,"per":"10s","inFlight":100}}`
	if good.status != 200 || string(good.body) != want {
		t.Errorf("status %d, body %s; want all limits: %s", good.status, good.body, want)
	}
	for name, body := range map[string]any{
		"unknown provider":   map[string]any{"kei": map[string]any{"inFlight": 1}},
		"misspelt field":     map[string]any{"kie": map[string]any{"inflight_": 1}},
		"rate without time":  map[string]any{"kie": map[string]any{"requests": 1}},
		"negative":           map[string]any{"kie": map[string]any{"inFlight": -1}},
		"time without unit":  map[string]any{"kie": map[string]any{"requests": 1, "per": "2"}},
		"time as a number":   map[string]any{"kie": map[string]any{"requests": 1, "per": 2}},
		"one good, one bad":  map[string]any{"apikley": map[string]any{"inFlight": 1}, "kie": map[string]any{"inFlight": -1}},
		"nothing":            map[string]any{},
		"a list, not a name": []any{"kie"},
	} {
		if got := post(body); got.status != 400 || len(textAt(r.object(got), "error")) < 10 {
			t.Errorf("%s: status %d, body %s; want 400 and a reason", name, got.status, got.body)
		}
	}
	if got := r.do(http.MethodGet, "/_sim/limits", "", nil); string(got.body) != want {
		t.Errorf("limits after refused changes: %s, want %s", got.body, want)
	}
	statuses := []int{r.extend("kie", nil).status, r.extend("kie", nil).status}
	if err := r.sim.Reset(); err != nil {
		t.Fatal(err)
	}
	statuses = append(statuses, r.extend("kie", nil).status, r.extend("kie", nil).status)
	if diff := cmp.Diff([]int{200, 429, 200, 200}, statuses); diff != "" {
		t.Errorf("with one per 1m30s, and after a reset (-want +got):\n%s", diff)
	}
}

func TestBadLimitsAreErrors(t *testing.T) {
	for name, limits := range map[string]map[string]simulator.Limit{
		"unknown":  {"suno": {}},
		"negative": {"kie": {Requests: -1}},
		"no time":  {"kkiai": {Requests: 1}},
	} {
		sim, err := simulator.New(simulator.Options{Limits: limits})
		if err == nil {
			t.Errorf("%s: no error", name)
			_ = sim.Close()
		}
	}
}
