package kie_test

import (
	"fmt"
	"testing"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/drivertest"
)

// runs are the three providers, by every way that audio and orders can take. Where
// the documents are silent, the simulator answers by its seed.
var runs = []struct {
	provider, route, stage string
	seed                   int64
}{
	{"kie", "legacy", "stream", 1},
	{"kie", "jobs", "url", 2},
	{"apikley", "", "", 3},
	{"sunoapi", "", "url", 4},
}

func TestConformance(t *testing.T) {
	for _, run := range runs {
		t.Run(fmt.Sprintf("%s %s %s", run.provider, run.route, run.stage), func(t *testing.T) {
			drivertest.Run(t, func(tb testing.TB, w *drivertest.Wire) *drivertest.Harness {
				tb.Helper()
				r := newRig(tb, run.seed)
				base := w.Serve(r.sim.Handler())
				options := map[string]string{}
				if run.route != "" {
					options["route"] = run.route
				}
				if run.stage != "" {
					options["stage"] = run.stage
				}
				return &drivertest.Harness{
					Driver: r.open(tb, run.provider, base, w.Client(), options), Info: info(family[run.provider]), APIKey: key,
					Upload: func() *provider.Upload { return r.upload() },
					Params: provider.Params{ContinueAt: 2, Prompt: "over the hill", Style: "indie pop", Title: "Home"},
					Refusals: []drivertest.Refusal{
						{Name: "402 in the body", Status: 200, Body: `{"code":402,"msg":"empty"}`, Code: fault.Exhausted, Scope: fault.ScopeAccount},
						{Name: "401 in the body", Status: 200, Body: `{"code":401,"msg":"x","data":null}`, Code: fault.Denied, Scope: fault.ScopeAccount},
						{Name: "455 in the body", Status: 200, Body: `{"code":455,"msg":"x"}`, Code: fault.Unavailable, Scope: fault.ScopeProvider},
						{Name: "the firewall", Status: 403, Body: "error code: 1010", Code: fault.Unavailable, Scope: fault.ScopeEndpoint},
					},
					Charges: func() int { return len(r.sim.Charges()) },
					Settle:  r.settle,
				}
			})
		})
	}
}
