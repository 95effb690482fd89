package simulator_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/simulator"
)

// TestRetriesMayKeepTheirTimestamp: whether a retry is signed anew is not
// documented, so a receiver with a narrow window has to expect both.
func TestRetriesMayKeepTheirTimestamp(t *testing.T) {
	ages := map[int64]bool{}
	for seed := range int64(12) {
		r := newRig(t, func(o *simulator.Options) {
			o.Seed, o.Callbacks.WebhookKey = seed+1, "hush"
		})
		v := newReceiver(t)
		v.answers(http.StatusInternalServerError)
		task := r.extended("kie", map[string]any{"callBackUrl": v.URL})
		r.pass(30 * time.Second)
		v.heard()
		r.pass(time.Minute)
		for _, h := range v.heard() {
			if h.kind() != "text" {
				continue
			}
			stamp := h.header.Get("X-Webhook-Timestamp")
			signed, err := strconv.ParseInt(stamp, 10, 64)
			if err != nil || h.header.Get("X-Webhook-Signature") != signature("hush", task, stamp) {
				t.Errorf("timestamp %q (%v) with signature %q, want a valid pair", stamp, err, h.header.Get("X-Webhook-Signature"))
			}
			ages[r.clock.now().Unix()-signed] = true
		}
	}
	if diff := cmp.Diff(map[int64]bool{0: true, 60: true}, ages); diff != "" {
		t.Errorf("seconds since the signature (-want +got):\n%s", diff)
	}
}

// TestTheOnlyCallbackIsHeldBack is what reordering means where nothing follows.
func TestTheOnlyCallbackIsHeldBack(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.FaultDelay = time.Hour })
	v := newReceiver(t)
	r.script(simulator.Next{Endpoint: "kie.callback", Kind: simulator.CallbackReordered, Count: 1})
	body := r.unified(nil)
	body["callBackUrl"] = v.URL
	if got := r.do(http.MethodPost, createPath, "key", body); got.status != 200 {
		t.Fatalf("status %d, want 200", got.status)
	}
	var got []int
	for _, pass := range []time.Duration{100 * time.Second, time.Hour - time.Second, time.Second, time.Hour} {
		r.pass(pass)
		got = append(got, len(v.heard()))
	}
	if diff := cmp.Diff([]int{0, 0, 1, 0}, got); diff != "" {
		t.Errorf("callbacks after 100 s, almost an hour, an hour, two (-want +got):\n%s", diff)
	}
}

// TestVanishedResultsAreNobodysFault holds the verdict on what cannot be had.
func TestVanishedResultsAreNobodysFault(t *testing.T) {
	r := newRig(t, nil)
	r.script(simulator.Next{Endpoint: "kie.extend", Kind: simulator.ResultsVanish, Count: 1})
	task := r.extended("kie", nil)
	r.settle(100 * time.Second)
	r.record("kie", task)
	if v := r.sim.Verdict(); v.UnfetchedTracks != 0 || !v.Clean {
		t.Errorf("%d unfetched, clean %t; want 0 and true", v.UnfetchedTracks, v.Clean)
	}
}

// TestEverythingAtOnce meets every fault of KIE's family by chance, on several
// seeds: the books must balance, and every callback that is not a lie must be
// about a charged operation.
func TestEverythingAtOnce(t *testing.T) {
	for seed := range int64(6) {
		t.Run("seed "+strconv.FormatInt(seed+1, 10), func(t *testing.T) {
			r := newRig(t, func(o *simulator.Options) {
				o.Seed, o.NoFetch, o.Faults = seed+1, true, simulator.Faults{}
				for _, k := range simulator.Kinds() {
					o.Faults[k] = 0.1
				}
				o.Faults[simulator.CallbackStranger], o.KIE.Requests = 0, -1
			})
			v := newReceiver(t)
			for n := range 40 {
				provider := []string{"kie", "apikley", "sunoapi"}[n%3]
				r.extend(provider, map[string]any{"callBackUrl": v.URL, "title": strconv.Itoa(n)})
				body := r.unified(map[string]any{"title": strconv.Itoa(n)})
				body["callBackUrl"] = v.URL
				r.do(http.MethodPost, createPath, "key", body)
			}
			r.pass(100 * time.Second)
			r.pass(time.Hour)
			if err := r.sim.SetFaults(nil); err != nil {
				t.Fatal(err)
			}
			left, known := int64(10_000), map[string]bool{}
			for _, c := range r.sim.Charges() {
				known[c.OperationID] = true
				if left -= c.Credits; c.Refunded {
					left += c.Credits
				}
			}
			if got := r.balance("key"); got != float64(left) {
				t.Errorf("balance %v, want %d by the charges", got, left)
			}
			for _, h := range v.heard() {
				if task := textAt(h.body, "data", "task_id") + textAt(h.body, "data", "taskId"); !known[task] {
					t.Errorf("callback about %s, which was never charged: %s", task, h.raw)
				}
			}
			state := r.object(r.do(http.MethodGet, "/_sim/state", "", nil))
			operations, _ := state["operations"].(map[string]any)
			var all float64
			for _, n := range operations {
				all += n.(float64)
			}
			if all != float64(len(known)) || len(known) < 20 || state["callbacks"] != 0.0 {
				t.Errorf("operations %v for %d charges, %v callbacks waiting; want as many, at least 20, and none", operations, len(known), state["callbacks"])
			}
		})
	}
}
