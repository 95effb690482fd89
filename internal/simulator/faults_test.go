package simulator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/simulator"
)

// TestSubmitFaults scripts each fault at the paid endpoint and looks at what a
// client gets to see and what it costs.
func TestSubmitFaults(t *testing.T) {
	cases := []struct {
		kind    simulator.Kind
		status  int // 0 is a broken connection
		charged int
		content string
	}{
		{simulator.DropBefore, 0, 0, ""},
		{simulator.DropAfter, 0, 1, ""},
		{simulator.ErrorAfter, 500, 1, "application/json; charset=utf-8"},
		{simulator.PageAfter, 502, 1, "text/html; charset=utf-8"},
		{simulator.TruncateAfter, 201, 1, "application/json; charset=utf-8"},
		{simulator.Delay, 201, 1, "application/json; charset=utf-8"},
		{simulator.RateLimited, 429, 0, "application/json; charset=utf-8"},
		{simulator.Maintenance, 455, 0, "application/json; charset=utf-8"},
		{simulator.NoCredits, 402, 0, "application/json; charset=utf-8"},
		{simulator.Denied, 401, 0, "application/json; charset=utf-8"},
		{simulator.OperationFailed, 201, 1, "application/json; charset=utf-8"},
		{simulator.OperationTimeout, 201, 1, "application/json; charset=utf-8"},
	}
	r := newRig(t, nil)
	for _, c := range cases {
		t.Run(string(c.kind), func(t *testing.T) {
			if err := r.sim.Reset(); err != nil {
				t.Fatal(err)
			}
			session := r.session()
			r.script(simulator.Next{Endpoint: "mountsea.item", Kind: c.kind, Count: 1})
			send := func() reply {
				return r.do(http.MethodPost, itemPath, "key", map[string]any{"sessionId": session, "audioUrl": r.source("/wav/1/a")})
			}
			got := send()
			if got.status != c.status || got.header.Get("Content-Type") != c.content {
				t.Errorf("status %d as %q (%v), want %d as %q", got.status, got.header.Get("Content-Type"), got.err, c.status, c.content)
			}
			if (got.err != nil) != (c.status == 0) {
				t.Errorf("connection error %v, want one only for a drop", got.err)
			}
			if got := r.sim.Charges(); len(got) != c.charged {
				t.Errorf("%d charges, want %d", len(got), c.charged)
			}
			if got := r.balance("key"); got != float64(10000-2*c.charged) {
				t.Errorf("balance %v, want 10000 less 2 a charge", got)
			}
			if again := send(); again.status != 201 || len(r.sim.Charges()) != c.charged+1 {
				t.Errorf("the request after the fault: status %d, %d charges; want 201 and one more", again.status, len(r.sim.Charges()))
			}
		})
	}
}

func TestRateLimitSaysHowLong(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.RetryAfter = 7 * time.Second })
	r.script(simulator.Next{Endpoint: "mountsea.session", Kind: simulator.RateLimited, Count: 1})
	if got := r.do(http.MethodPost, sessionPath, "key", nil); got.header.Get("Retry-After") != "7" {
		t.Errorf("Retry-After is %q, want 7", got.header.Get("Retry-After"))
	}
}

func TestTruncatedAnswerIsNotJSON(t *testing.T) {
	r := newRig(t, nil)
	r.script(simulator.Next{Endpoint: "mountsea.upload", Kind: simulator.TruncateAfter, Count: 1})
	got := r.do(http.MethodPost, uploadPath, "key", map[string]any{"audioUrl": r.source("/wav/1/a")})
	if got.err != nil || json.Valid(got.body) || len(got.body) == 0 {
		t.Errorf("body %q (%v), want a readable part of some JSON", got.body, got.err)
	}
	if c := r.sim.Charges()[0]; c.Fault != simulator.TruncateAfter {
		t.Errorf("the charge names fault %q, want truncate_after", c.Fault)
	}
}

func TestOperationFaults(t *testing.T) {
	r := newRig(t, nil)
	session := r.session()
	r.script(
		simulator.Next{Endpoint: "mountsea.item", Kind: simulator.OperationFailed, Count: 1},
		simulator.Next{Endpoint: "mountsea.item", Kind: simulator.OperationTimeout, Count: 1},
	)
	failed, late := r.item(session, r.source("/wav/1/a")), r.item(session, r.source("/wav/1/b"))
	r.settle(10 * time.Second)
	if got := r.status(failed); got["status"] != "failed" || got["failCode"] != 5001.0 || got["failReason"] != "Upstream processing failed." {
		t.Errorf("got %v, want failed with 5001", got)
	}
	if got := r.status(late)["status"]; got != "timeout" {
		t.Errorf("got %v, want timeout", got)
	}
	if ids := listAt(r.status(session), "data", "audioIds"); len(ids) != 0 {
		t.Errorf("the session lists %v, want none of the lost items", ids)
	}
}

func TestStatusError(t *testing.T) {
	r := newRig(t, nil)
	session := r.session()
	r.script(simulator.Next{Endpoint: "mountsea.status", Kind: simulator.StatusError, Count: 2})
	want := []int{500, 500, 200}
	for i, code := range want {
		if got := r.do(http.MethodGet, statusPath+session, "key", nil); got.status != code {
			t.Errorf("status request %d: %d, want %d", i+1, got.status, code)
		}
	}
}

func TestProbabilitiesKeepToTheirEndpoints(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) {
		o.Faults = simulator.Faults{simulator.StatusError: 1, simulator.NoCredits: 1, simulator.CDNPage: 1}
	})
	session := r.do(http.MethodPost, sessionPath, "key", nil)
	if session.status/100 != 2 {
		t.Errorf("session: status %d, want 2xx: none of these faults concerns it", session.status)
	}
	if got := r.do(http.MethodGet, statusPath+textAt(r.object(session), "sessionId"), "key", nil); got.status != 500 {
		t.Errorf("status request: %d, want 500", got.status)
	}
	if got := r.balance("key"); got != 10000 {
		t.Errorf("balance %v, want 10000", got)
	}
	state := r.object(r.do(http.MethodGet, "/_sim/state", "", nil))
	if diff := cmp.Diff(map[string]any{"status_error": 1.0}, state["fired"]); diff != "" {
		t.Errorf("faults that struck (-want +got):\n%s", diff)
	}
}

func TestDelayEndsWithTheClient(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.FaultDelay = time.Hour })
	r.script(simulator.Next{Endpoint: "mountsea.upload", Kind: simulator.Delay, Count: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	got := r.doContext(ctx, http.MethodPost, uploadPath, "key", map[string]any{"audioUrl": "http://x/a"})
	if !errors.Is(got.err, context.DeadlineExceeded) || len(r.sim.Charges()) != 0 {
		t.Errorf("error %v, %d charges; want the client's deadline and none", got.err, len(r.sim.Charges()))
	}
}

func TestCloseReleasesDelayedRequests(t *testing.T) {
	sim, err := simulator.New(simulator.Options{FaultDelay: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.Script(simulator.Next{Endpoint: "mountsea.session", Kind: simulator.Delay, Count: 1}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim.Handler())
	done := make(chan error, 1)
	go func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+sessionPath, http.NoBody)
		if err == nil {
			var res *http.Response
			if res, err = http.DefaultClient.Do(req); err == nil {
				_ = res.Body.Close()
			}
		}
		done <- err
	}()
	if err := sim.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("the delayed request was answered, want a closed connection")
	}
	server.Close()
}

func TestCDN(t *testing.T) {
	r := newRig(t, nil)
	file := r.track()
	plain := r.fetch(file)
	if plain.status != 200 || plain.header.Get("Accept-Ranges") != "bytes" || plain.header.Get("ETag") == "" {
		t.Fatalf("status %d, headers %v; want 200 with ranges and an ETag", plain.status, plain.header)
	}
	get := func(name, value string) reply {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, file, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(name, value)
		res, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		return reply{status: res.StatusCode, header: res.Header, body: readAll(t, res)}
	}
	if got := get("Range", "bytes=100-299"); got.status != 206 || !bytes.Equal(got.body, plain.body[100:300]) {
		t.Errorf("range: status %d, %d bytes; want 206 and bytes 100 to 299 of the file", got.status, len(got.body))
	}
	if got := get("If-None-Match", plain.header.Get("ETag")); got.status != 304 {
		t.Errorf("known ETag: status %d, want 304", got.status)
	}
	if got := get("Range", "bytes=9999999-"); got.status != 416 {
		t.Errorf("range beyond the file: status %d, want 416", got.status)
	}
	if again := r.fetch(file); !bytes.Equal(again.body, plain.body) {
		t.Error("the second download has other bytes")
	}
	if got := r.fetch(r.api.URL + "/cdn/nothing.mp3"); got.status != 404 {
		t.Errorf("unknown file: status %d, want 404", got.status)
	}
	image := r.fetch(strings.Replace(strings.TrimSuffix(file, ".mp3"), "/cdn/", "/cdn/image_", 1) + ".jpeg")
	if image.status != 200 || http.DetectContentType(image.body) != "image/jpeg" {
		t.Errorf("cover: status %d, %s; want 200 and a JPEG", image.status, http.DetectContentType(image.body))
	}
}

func TestCDNFaults(t *testing.T) {
	r := newRig(t, nil)
	file := r.track()
	size := len(r.fetch(file).body)

	r.script(simulator.Next{Endpoint: "cdn", Kind: simulator.CDNCut, Count: 1})
	if got := r.fetch(file); got.err == nil || len(got.body) != size/2 || got.header.Get("Content-Length") == "" {
		t.Errorf("cut: %d of %d bytes, error %v; want half and an error", len(got.body), size, got.err)
	}
	r.script(simulator.Next{Endpoint: "cdn", Kind: simulator.CDNSlow, Count: 1})
	if got := r.fetch(file); got.err != nil || len(got.body) != size {
		t.Errorf("slow: %d of %d bytes (%v), want all", len(got.body), size, got.err)
	}
	r.script(simulator.Next{Endpoint: "cdn", Kind: simulator.CDNPage, Count: 1})
	if got := r.fetch(file); got.status != 200 || !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
		t.Errorf("page: status %d as %s, want 200 as HTML", got.status, got.header.Get("Content-Type"))
	}

	fresh := newRig(t, nil)
	file = fresh.track()
	fresh.script(simulator.Next{Endpoint: "cdn", Kind: simulator.CDNMissing, Count: 2})
	for i, want := range []int{404, 200, 200} {
		if got := fresh.fetch(file); got.status != want {
			t.Errorf("request %d: status %d, want %d: only the first one misses", i+1, got.status, want)
		}
	}
}

// track makes one finished generation and gives the address of its first track.
func (r *rig) track() string {
	r.t.Helper()
	task := r.generate(map[string]any{"task": "create", "model": "chirp-v50"})
	r.clock.advance(100 * time.Second)
	return textAt(r.status(task), "data", 0, "audio_url")
}

func TestScriptRunsInOrderAndOnlyAtItsEndpoint(t *testing.T) {
	r := newRig(t, nil)
	r.script(
		simulator.Next{Endpoint: "mountsea.session", Kind: simulator.Maintenance, Count: 2},
		simulator.Next{Endpoint: "mountsea.upload", Kind: simulator.Denied, Count: 1},
		simulator.Next{Endpoint: "mountsea.session", Kind: simulator.RateLimited, Count: 1},
	)
	var got []int
	for range 4 {
		got = append(got, r.do(http.MethodPost, sessionPath, "key", nil).status)
	}
	got[3] = got[3] / 100 * 100 // 200 or 201, by seed
	if diff := cmp.Diff([]int{455, 455, 429, 200}, got); diff != "" {
		t.Errorf("sessions (-want +got):\n%s", diff)
	}
	if got := r.do(http.MethodPost, uploadPath, "key", map[string]any{"audioUrl": "http://x/a"}); got.status != 401 {
		t.Errorf("upload: status %d, want 401", got.status)
	}
}

func TestBadKnobsAreErrors(t *testing.T) {
	r := newRig(t, nil)
	if err := r.sim.SetFaults(simulator.Faults{simulator.Delay: 1}); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]simulator.Faults{
		"unknown kind": {"explode": 0.1}, "above one": {simulator.Delay: 1.01}, "below zero": {simulator.Delay: -0.1},
		"not a number": {simulator.Delay: math.NaN()},
	} {
		if err := r.sim.SetFaults(f); fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%s: error %v, want invalid", name, err)
		}
	}
	for name, n := range map[string]simulator.Next{
		"unknown endpoint": {Endpoint: "mountsea.items", Kind: simulator.Delay, Count: 1},
		"unknown kind":     {Endpoint: "mountsea.item", Kind: "explode", Count: 1},
		"no count":         {Endpoint: "mountsea.item", Kind: simulator.Delay},
		"wrong place":      {Endpoint: "mountsea.status", Kind: simulator.DropAfter, Count: 1},
		"wrong place, cdn": {Endpoint: "cdn", Kind: simulator.Delay, Count: 1},
	} {
		good := simulator.Next{Endpoint: "mountsea.item", Kind: simulator.Denied, Count: 1}
		if err := r.sim.Script(good, n); fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%s: error %v, want invalid", name, err)
		}
	}
	if got := r.do(http.MethodPost, itemPath, "key", map[string]any{}); got.status != 400 {
		t.Errorf("status %d, want 400: a refused script leaves nothing behind", got.status)
	}
}

func TestBadOptionsAreErrors(t *testing.T) {
	cases := map[string]simulator.Options{
		"fault":           {Faults: simulator.Faults{"explode": 1}},
		"price":           {Prices: map[string]int64{"mountsea.status": 1}},
		"negative price":  {Prices: map[string]int64{"mountsea.item": -1}},
		"jitter":          {UploadTime: simulator.Timing{Mean: time.Second, Jitter: 2 * time.Second}},
		"negative mean":   {ExtendTime: simulator.Timing{Mean: -time.Second}},
		"scale":           {TrackScale: -1},
		"accounts":        {UpstreamAccounts: -1},
		"fetchers":        {Fetchers: -1},
		"retry after":     {RetryAfter: time.Millisecond},
		"delay":           {FaultDelay: -1},
		"public URL":      {PublicURL: "example.com"},
		"empty key":       {Keys: map[string]simulator.Account{"": {}}},
		"negative credit": {Keys: map[string]simulator.Account{"a": {Credits: -1}}},
		"disagreement":    {Keys: map[string]simulator.Account{"a": {Name: "x", Credits: 1}, "b": {Name: "x", Credits: 2}}},
	}
	for name, o := range cases {
		sim, err := simulator.New(o)
		if fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%s: error %v, want invalid", name, err)
		}
		if sim != nil {
			_ = sim.Close()
		}
	}
}

func TestMildIsValidAndKindsAreNamed(t *testing.T) {
	sim, err := simulator.New(simulator.Options{Faults: simulator.Mild()})
	if err != nil {
		t.Fatalf("New with Mild: %v", err)
	}
	if err := sim.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if sim.Seed() == 0 {
		t.Error("the chosen seed is 0, want one to print")
	}
	want := []simulator.Kind{
		"cdn_cut", "cdn_missing", "cdn_page", "cdn_slow", "delay", "denied", "drop_after", "drop_before", "error_after", "maintenance",
		"no_credits", "operation_failed", "operation_timeout", "page_after", "rate_limited", "status_error", "truncate_after",
	}
	if diff := cmp.Diff(want, simulator.Kinds()); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
}

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
