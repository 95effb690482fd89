package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider/rest"
)

const key = "sk-9f8e7d6c5b4a39281706f5e4d3c2b1a0"

var table = rest.Table{
	"401":          {Code: fault.Denied, Charge: fault.ChargeNone, Scope: fault.ScopeAccount},
	"422":          {Code: fault.Invalid, Charge: fault.ChargeNone},
	"429":          {Code: fault.Exhausted, Charge: fault.ChargeNone, Scope: fault.ScopeEndpoint},
	"500":          {Code: fault.Unavailable},
	"no_such_task": {Code: fault.NotFound, Charge: fault.ChargeNone},
}

var envelope = rest.Envelope{Code: []string{"code", "statusCode"}, Success: []string{"200", "success"}, Message: []string{"msg", "message"}}

type order struct {
	Audio string `json:"audio"`
}

type receipt struct {
	ID string `json:"id"`
}

// open makes a client of the handler, with a transport of its own.
func open(t *testing.T, handler http.HandlerFunc) *rest.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return openAt(t, server.URL+"/base", &http.Client{Transport: transport(t)})
}

func transport(t *testing.T) *http.Transport {
	t.Helper()
	tr := rest.Transport()
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func openAt(t *testing.T, base string, client *http.Client) *rest.Client {
	t.Helper()
	c, err := rest.New(rest.Options{Op: "test.Open", Base: base, Auth: rest.Bearer(key), HTTP: client, Envelope: envelope, Table: table})
	if err != nil {
		t.Fatalf("New(%q): %v", base, err)
	}
	return c
}

// buy sends a request that would be paid.
func buy(ctx context.Context, c *rest.Client) error {
	return c.JSON(ctx, "test.Buy", http.MethodPost, "v1/buy", order{"https://files.example/a.mp3?sig=Zm9vYmFy"}, &receipt{})
}

// failure takes an error apart for comparison.
type failure struct {
	Code   fault.Code
	Charge fault.Charge
	Scope  fault.Scope
	After  time.Duration
}

func taken(t *testing.T, err error) failure {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Fatalf("got %T %v, want a *fault.Error", err, err)
	}
	return failure{f.Code, f.Charge, f.Scope, f.RetryAfter}
}

func TestRequestOnTheWire(t *testing.T) {
	var got []string
	c := open(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		got = append(got, r.Method+" "+r.URL.String(), r.Header.Get("Authorization"), r.Header.Get("Content-Type"),
			r.Header.Get("Idempotency-Key"), fmt.Sprint(r.ContentLength), string(body))
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"id":"op-1","news":{"unknown":true}}`)
	})
	var out receipt
	in := order{"https://files.example/a.mp3?x=1&y=<2>"}
	if err := c.JSON(t.Context(), "test.Buy", http.MethodPost, "v1/buy?dry=a%20b", in, &out); err != nil {
		t.Fatalf("JSON: %v", err)
	}
	if err := c.JSON(t.Context(), "test.Get", http.MethodGet, "/v1/op", nil, &out); err != nil {
		t.Fatalf("JSON: %v", err)
	}
	want := []string{
		"POST /base/v1/buy?dry=a%20b", "Bearer " + key, "application/json", "", "49", `{"audio":"https://files.example/a.mp3?x=1&y=<2>"}`,
		"GET /base/v1/op", "Bearer " + key, "", "", "0", "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if out.ID != "op-1" {
		t.Errorf("id %q, want op-1", out.ID)
	}
}

func TestAnswersAreClassified(t *testing.T) {
	const html = "<!DOCTYPE html><html><body>502</body></html>"
	cases := []struct {
		name   string
		status int
		header string // Retry-After
		body   string
		want   failure
	}{
		{"listed status", 401, "", `{}`, failure{Code: "denied", Charge: fault.ChargeNone, Scope: fault.ScopeAccount}},
		{"listed status, HTML", 429, "7", html, failure{Code: "exhausted", Charge: fault.ChargeNone, Scope: fault.ScopeEndpoint, After: 7 * time.Second}},
		{"verdict before status", 200, "", `{"code":422,"msg":"bad"}`, failure{Code: "invalid", Charge: fault.ChargeNone}},
		{"verdict as a string", 200, "", `{"code":"429"}`, failure{Code: "exhausted", Charge: fault.ChargeNone, Scope: fault.ScopeEndpoint}},
		{"verdict as a word", 400, "", `{"code":"no_such_task"}`, failure{Code: "not_found", Charge: fault.ChargeNone}},
		{"second verdict field", 500, "", `{"statusCode":401}`, failure{Code: "denied", Charge: fault.ChargeNone, Scope: fault.ScopeAccount}},
		{"verdict over a 500", 500, "", `{"code":429}`, failure{Code: "exhausted", Charge: fault.ChargeNone, Scope: fault.ScopeEndpoint}},
		{"success inside a 500", 500, "", `{"code":200,"id":"op-1"}`, failure{Code: "unavailable"}},
		{"unlisted verdict, 2xx", 200, "", `{"code":999}`, failure{Code: "malformed"}},
		{"unlisted verdict, listed status", 422, "", `{"code":999}`, failure{Code: "invalid", Charge: fault.ChargeNone}},
		{"listed 500", 500, "", "", failure{Code: "unavailable"}},
		{"unlisted 5xx", 524, "", html, failure{Code: "unavailable"}},
		{"unlisted 4xx", 418, "", "", failure{Code: "invalid"}},
		{"redirect", 307, "", "", failure{Code: "malformed"}},
		{"see other", 303, "", "", failure{Code: "malformed"}},
		{"empty", 200, "", "", failure{Code: "malformed"}},
		{"blank", 200, "", " \n", failure{Code: "malformed"}},
		{"HTML", 200, "", html, failure{Code: "malformed"}},
		{"null", 200, "", "null", failure{Code: "malformed"}},
		{"a bare string", 200, "", `"op-1"`, failure{Code: "malformed"}},
		{"cut JSON", 200, "", `{"id":"op-`, failure{Code: "malformed"}},
		{"two values", 200, "", `{"id":"op-1"}{"id":"op-2"}`, failure{Code: "malformed"}},
		{"another type", 200, "", `{"id":{"x":1}}`, failure{Code: "malformed"}},
		{"a list", 200, "", `[]`, failure{Code: "malformed"}},
		{"no content", 204, "", "", failure{Code: "malformed"}},
	}
	for _, tc := range cases {
		c := open(t, func(w http.ResponseWriter, _ *http.Request) {
			if tc.header != "" {
				w.Header().Set("Retry-After", tc.header)
			}
			if tc.status/100 == 3 {
				w.Header().Set("Location", "/elsewhere")
			}
			w.WriteHeader(tc.status)
			_, _ = io.WriteString(w, tc.body)
		})
		if diff := cmp.Diff(tc.want, taken(t, buy(t.Context(), c))); diff != "" {
			t.Errorf("%s: HTTP %d %q (-want +got):\n%s", tc.name, tc.status, tc.body, diff)
		}
	}
}

func TestRequestWithoutBodyIsFree(t *testing.T) {
	c := open(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		err := c.JSON(t.Context(), "test.Free", method, "v1/free", nil, &receipt{})
		if diff := cmp.Diff(failure{Code: "unavailable", Charge: fault.ChargeNone}, taken(t, err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", method, diff)
		}
	}
}

func TestAnswerThatIsNotWanted(t *testing.T) {
	c := open(t, func(http.ResponseWriter, *http.Request) {})
	if err := c.JSON(t.Context(), "test.Do", http.MethodPost, "v1/do", order{}, nil); err != nil {
		t.Errorf("JSON with no out and an empty 200: %v, want nil", err)
	}
}

func TestLongAnswerIsMalformed(t *testing.T) {
	c := open(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"id":"op-1","pad":"`+strings.Repeat("x", 5<<20)+`"}`)
	})
	if diff := cmp.Diff(failure{Code: "malformed"}, taken(t, buy(t.Context(), c))); diff != "" {
		t.Errorf("5 MB answer (-want +got):\n%s", diff)
	}
}

func TestWhatCannotBeSentIsInvalid(t *testing.T) {
	asked := false
	c := open(t, func(http.ResponseWriter, *http.Request) { asked = true })
	err := c.JSON(t.Context(), "test.Buy", http.MethodPost, "v1/buy", map[string]any{"x": math.NaN()}, nil)
	if diff := cmp.Diff(failure{Code: "invalid", Charge: fault.ChargeNone}, taken(t, err)); diff != "" {
		t.Errorf("NaN (-want +got):\n%s", diff)
	}
	err = c.JSON(t.Context(), "test.Buy", http.MethodPost, "http://elsewhere.example/", order{}, nil)
	if diff := cmp.Diff(failure{Code: "internal", Charge: fault.ChargeNone}, taken(t, err)); diff != "" {
		t.Errorf("absolute path (-want +got):\n%s", diff)
	}
	if asked {
		t.Error("a request left all the same")
	}
}

func TestNewRefuses(t *testing.T) {
	client := &http.Client{}
	cases := []struct {
		name    string
		options rest.Options
	}{
		{"no base", rest.Options{Auth: rest.Bearer(key), HTTP: client}},
		{"no scheme", rest.Options{Base: "api.example.com", Auth: rest.Bearer(key), HTTP: client}},
		{"another scheme", rest.Options{Base: "ftp://api.example.com", Auth: rest.Bearer(key), HTTP: client}},
		{"no host", rest.Options{Base: "https://:443/x", Auth: rest.Bearer(key), HTTP: client}},
		{"user", rest.Options{Base: "https://me:hunter2secret@api.example.com", Auth: rest.Bearer(key), HTTP: client}},
		{"query", rest.Options{Base: "https://api.example.com?key=hunter2secret", Auth: rest.Bearer(key), HTTP: client}},
		{"fragment", rest.Options{Base: "https://api.example.com#hunter2secret", Auth: rest.Bearer(key), HTTP: client}},
		{"not a URL", rest.Options{Base: "https://hunter2secret\x00", Auth: rest.Bearer(key), HTTP: client}},
		{"no key", rest.Options{Base: "https://api.example.com", Auth: rest.Bearer(""), HTTP: client}},
		{"key with a line's end", rest.Options{Base: "https://api.example.com", Auth: rest.Bearer(key + "\n"), HTTP: client}},
		{"no client", rest.Options{Base: "https://api.example.com", Auth: rest.Bearer(key)}},
	}
	for _, tc := range cases {
		c, err := rest.New(tc.options)
		if c != nil || fault.CodeOf(err) != fault.Invalid || fault.ChargeOf(err) != fault.ChargeNone {
			t.Errorf("%s: New = %v, %v; want an invalid error", tc.name, c, err)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2secret") || strings.Contains(err.Error(), key)) {
			t.Errorf("%s: the error tells the secret: %v", tc.name, err)
		}
	}
}

func TestAuthHidesItsKey(t *testing.T) {
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, rest.KeyHeader("X-API-Key", key)); got != "X-API-Key: ***" {
			t.Errorf("Sprintf(%q) = %q, want the key hidden", format, got)
		}
	}
}

func TestErrorsRepeatNothing(t *testing.T) {
	bodies := map[string]string{
		"key":        `{"code":422,"msg":"Invalid key ` + key + ` given"}`,
		"key prefix": `{"code":422,"msg":"Invalid key ` + key[:12] + `*** given"}`,
		"bearer":     `{"code":"Bearer ` + key + `","msg":"x"}`,
		"address":    `{"code":422,"message":"cannot fetch https://files.example/a.mp3?sig=Zm9vYmFy now"}`,
		"request":    `{"code":422,"msg":"got {\"audio\":\"https://files.example/a.mp3?sig=Zm9vYmFy\"}"}`,
		"HTML":       `<p>` + key + ` sig=Zm9vYmFy</p>`,
		"broken":     `{"id":"` + key,
		"type":       `{"id":["` + key + `"]}`,
	}
	for _, status := range []int{200, 401, 422, 500} {
		for name, body := range bodies {
			c := open(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, body)
			})
			err := buy(t.Context(), c)
			if err == nil {
				t.Errorf("HTTP %d, %s: no error", status, name)
				continue
			}
			for _, secret := range []string{key, key[:12], key[10:], "Zm9vYmFy", "files.example"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("HTTP %d, %s: the error %q tells %q", status, name, err, secret)
				}
			}
		}
	}
}

func TestRefusalTellsWhatToMend(t *testing.T) {
	cases := []struct {
		status     int
		body, want string
	}{
		{200, `{"code":422,"msg":"model chirp-v99 is not supported"}`, "test.Buy: invalid: HTTP 200, code 422: model chirp-v99 is not supported"},
		{422, `{"statusCode":422,"message":["audio must be a URL","model is required"]}`, "test.Buy: invalid: HTTP 422, code 422: audio must be a URL; model is required"},
		{401, `{"code":401,"msg":"the credential abc is wrong"}`, "test.Buy: denied: HTTP 401, code 401"},
		{503, `down`, "test.Buy: unavailable: HTTP 503"},
	}
	for _, tc := range cases {
		c := open(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tc.status)
			_, _ = io.WriteString(w, tc.body)
		})
		if err := buy(t.Context(), c); err == nil || err.Error() != tc.want {
			t.Errorf("HTTP %d %s: got %v, want %s", tc.status, tc.body, err, tc.want)
		}
	}
}

func TestLooseValues(t *testing.T) {
	var got struct {
		A, B, C, D, E rest.Text
		F, G, H, I, J rest.Number
	}
	const answer = `{"A":"x","B":12.50,"C":null,"D":{"y":1},"E":["z"],"F":12.5,"G":"7.25","H":"fast","I":null,"J":"Inf"}`
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatalf("Unmarshal: %v", err)
	}
	texts := []rest.Text{got.A, got.B, got.C, got.D, got.E}
	if diff := cmp.Diff([]rest.Text{"x", "12.50", "", "", ""}, texts); diff != "" {
		t.Errorf("texts (-want +got):\n%s", diff)
	}
	numbers := []rest.Number{got.F, got.G, got.H, got.I, got.J}
	if diff := cmp.Diff([]rest.Number{12.5, 7.25, 0, 0, 0}, numbers); diff != "" {
		t.Errorf("numbers (-want +got):\n%s", diff)
	}
}
