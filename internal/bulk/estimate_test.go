package bulk_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/bulk"
	"github.com/segue-audio/segue/internal/provider"
)

// several are so many valid inputs whose content is not known.
func several(n int) []pair {
	all := make([]pair, n)
	for i := range all {
		all[i] = pair{in: source.Inspected{Input: source.Input{Source: fmt.Sprint(i), URL: fmt.Sprint(i)}, Valid: true}}
	}
	return all
}

func TestTime(t *testing.T) {
	kie := bulk.Account{Submit: 20, Per: 10 * time.Second, InFlight: 100, Extend: 2 * time.Minute}
	slowUploads := kie
	slowUploads.Upload = time.Minute
	cases := []struct {
		name    string
		account bulk.Account
		inputs  int
		upload  bool
		seconds float64
		limit   string
	}{
		{"one", kie, 1, false, 120, "operation"},
		{"as many as leave at once", kie, 10, false, 120, "operation"}, // 20 requests
		// 200 requests: the last 20 leave after 90 s, and take 120 s.
		{"by the rate", kie, 100, false, 210, "rate"},
		// 10,000 extends of 120 s, 100 at a time.
		{"by what is in flight", kie, 10_000, false, 12_000, "in flight"},
		{"uploads hold places too", slowUploads, 10_000, false, 18_000, "in flight"},
		{"a chain is no shorter than its steps", slowUploads, 1, false, 180, "operation"},
		{"uploads alone", slowUploads, 1, true, 60, "operation"},
		{"uploads alone that end at once", kie, 100, true, 40, "rate"},
		{"no limits", bulk.Account{Extend: time.Minute}, 1000, false, 60, "operation"},
		{"nothing known", bulk.Account{}, 1000, false, 0, "operation"},
		{"longer than time", bulk.Account{InFlight: 1, Extend: 200 * 365 * 24 * time.Hour}, 1000, false, 6_307_200_000_000, "in flight"},
	}
	for _, c := range cases {
		c.account.Provider, c.account.Name = "kie", "main"
		settings := planned()
		settings.Accounts = []bulk.Account{c.account}
		settings.Job = func(source.Inspected) bulk.Job {
			job := bulk.Job{Provider: "kie", Account: "main"}
			if !c.upload {
				job.Params = &provider.Params{ContinueAt: 1}
			}
			return job
		}
		p := plan(t, settings, several(c.inputs)...)
		if got := p.Accounts[0]; p.Seconds != c.seconds || got.Seconds != c.seconds || got.Limit != c.limit {
			t.Errorf("%s: %v s, %v s by %s; want %v s by %s", c.name, p.Seconds, got.Seconds, got.Limit, c.seconds, c.limit)
		}
	}
}

func TestTwoAccountsWorkAtOnce(t *testing.T) {
	settings := planned()
	settings.Accounts = []bulk.Account{
		{Provider: "kie", Name: "a", InFlight: 1, Extend: time.Minute}, {Provider: "kie", Name: "b", InFlight: 1, Extend: time.Minute},
	}
	n := 0
	settings.Job = func(source.Inspected) bulk.Job {
		n++
		return bulk.Job{Provider: "kie", Account: map[bool]string{true: "a", false: "b"}[n%4 == 0], Params: &provider.Params{ContinueAt: 1}}
	}
	p := plan(t, settings, several(40)...)
	if p.Seconds != 1800 || p.Accounts[0].Seconds != 600 || p.Accounts[1].Seconds != 1800 {
		t.Errorf("%v s, %v s and %v s; want 1800, 600 and 1800", p.Seconds, p.Accounts[0].Seconds, p.Accounts[1].Seconds)
	}
}

// 1000 results in 1000 minutes, and each is fetched in 100: the last one waits for
// 99,000 minutes, and those from the 204th on for more than 14 days (20,160 minutes).
func TestRetention(t *testing.T) {
	settings := planned()
	settings.Accounts[0].InFlight, settings.Accounts[0].Extend, settings.Accounts[0].Retention = 1, time.Minute, 14*24*time.Hour
	settings.Fetching = bulk.Fetching{AtOnce: 1, Each: 100 * time.Minute}
	p := plan(t, settings, several(1000)...)
	if p.Retention.AtRisk != 797 || p.Retention.SecondsBehind != 99_000*60 {
		t.Errorf("retention %+v, want 797 at risk and 99,000 min behind", p.Retention)
	}
	want := "797 results would be deleted by the provider before being fetched: fetching ends 68 days 18 h after the last one is done"
	if len(p.Warnings) == 0 || p.Warnings[len(p.Warnings)-2] != want {
		t.Errorf("warnings %q, want among them %q", p.Warnings, want)
	}
	settings.Fetching.AtOnce = 100
	if p := plan(t, settings, several(1000)...); p.Retention != (bulk.Retention{}) {
		t.Errorf("retention %+v where fetching keeps pace, want nothing at risk", p.Retention)
	}
}
