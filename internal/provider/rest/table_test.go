package rest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider/rest"
)

// TestRowsOfATable shows what a row may say beyond a code: that it is for the
// HTTP status alone, how long the documents ask to wait, and why.
func TestRowsOfATable(t *testing.T) {
	rows := rest.Table{
		"429":      {Code: fault.Exhausted, Charge: fault.ChargeNone, Scope: fault.ScopeAccount, Why: "the credits are used up"},
		"HTTP 429": {Code: fault.Exhausted, Charge: fault.ChargeNone, Scope: fault.ScopeEndpoint, After: 10 * time.Second},
		"HTTP 403": {Code: fault.Unavailable, Charge: fault.ChargeNone, Why: "the firewall"},
		"403":      {Code: fault.Denied, Charge: fault.ChargeNone, Scope: fault.ScopeAccount},
	}
	cases := []struct {
		name, header, body string
		status             int
		want               failure
		text               string
	}{
		{
			"a verdict", "", `{"code":429}`, 200,
			failure{Code: "exhausted", Charge: fault.ChargeNone, Scope: fault.ScopeAccount},
			"HTTP 200, code 429: the credits are used up",
		},
		{
			"a verdict over the same status", "", `{"code":429}`, 429,
			failure{Code: "exhausted", Charge: fault.ChargeNone, Scope: fault.ScopeAccount},
			"HTTP 429, code 429: the credits are used up",
		},
		{
			"the status alone", "", `<html>`, 429,
			failure{Code: "exhausted", Charge: fault.ChargeNone, Scope: fault.ScopeEndpoint, After: 10 * time.Second},
			"HTTP 429",
		},
		{
			"the answer's own wait", "3", `<html>`, 429,
			failure{Code: "exhausted", Charge: fault.ChargeNone, Scope: fault.ScopeEndpoint, After: 3 * time.Second},
			"HTTP 429",
		},
		{"a page of the firewall", "", `error code: 1010`, 403, failure{Code: "unavailable", Charge: fault.ChargeNone}, "HTTP 403: the firewall"},
		{"a bad key", "", `{"code":403}`, 403, failure{Code: "denied", Charge: fault.ChargeNone, Scope: fault.ScopeAccount}, "HTTP 403, code 403"},
	}
	for _, tc := range cases {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if tc.header != "" {
				w.Header().Set("Retry-After", tc.header)
			}
			w.WriteHeader(tc.status)
			_, _ = io.WriteString(w, tc.body)
		}))
		t.Cleanup(server.Close)
		c, err := rest.New(rest.Options{
			Op: "test.Open", Base: server.URL, Auth: rest.Bearer(key), HTTP: &http.Client{Transport: transport(t)}, Envelope: envelope, Table: rows,
		})
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		err = buy(t.Context(), c)
		if diff := cmp.Diff(tc.want, taken(t, err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
		if got := fault.Reason(err); !strings.HasSuffix(got, tc.text) {
			t.Errorf("%s: reason %q, want %q", tc.name, got, tc.text)
		}
	}
}
