package simulator_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/simulator"
)

func TestAuthentication(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) {
		o.Keys = map[string]simulator.Account{"sk-main": {Name: "main", Credits: 5}}
	})
	cases := []struct {
		name, header, value, path string
		want                      int
	}{
		{"bearer", "Authorization", "Bearer sk-main", "/mountsea/suno/v2/generate/schema", 200},
		{"bearer in lower case", "Authorization", "bearer sk-main", "/mountsea/suno/v2/generate/schema", 200},
		{"no key", "X-Nothing", "x", "/mountsea/suno/v2/generate/schema", 401},
		{"key without scheme", "Authorization", "sk-main", "/mountsea/suno/v2/generate/schema", 401},
		{"wrong key", "Authorization", "Bearer sk-other", "/mountsea/suno/v2/generate/schema", 401},
		{"the API ignores X-API-Key", "X-API-Key", "sk-main", "/mountsea/suno/v2/generate/schema", 401},
		{"credits by header", "X-API-Key", "sk-main", creditsPath, 200},
		{"credits by query", "X-Nothing", "x", creditsPath + "?key=sk-main", 200},
		{"the credits host ignores bearer", "Authorization", "Bearer sk-main", creditsPath, 401},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.api.URL+c.path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set(c.header, c.value)
			res, err := r.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != c.want {
				t.Errorf("status %d, want %d", res.StatusCode, c.want)
			}
		})
	}
	if v := r.sim.Verdict(); v.Unauthenticated != 4 || v.WrongKey != 1 {
		t.Errorf("%d without key, %d with a wrong one; want 4 and 1", v.Unauthenticated, v.WrongKey)
	}
}

func TestKeysWithoutConfiguration(t *testing.T) {
	r := newRig(t, nil)
	if got := r.balance("anything"); got != 10000 {
		t.Errorf("balance of a new key is %v, want 10000", got)
	}
	if got := r.do(http.MethodGet, creditsPath, "wrong-key", nil); got.status != 401 {
		t.Errorf("a key that begins with wrong: status %d, want 401", got.status)
	}
}

func TestCreditsRunOut(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) {
		o.Keys = map[string]simulator.Account{"key": {Name: "main", Credits: 5}}
	})
	session := r.session()
	for range 2 {
		r.item(session, r.source("/wav/1/a"))
	}
	got := r.do(http.MethodPost, itemPath, "key", map[string]any{"sessionId": session, "audioUrl": r.source("/wav/1/a")})
	if got.status != 402 || r.balance("key") != 1 || len(r.sim.Charges()) != 2 {
		t.Errorf("third upload with 1 credit: status %d, balance %v, %d charges; want 402, 1 and 2", got.status, r.balance("key"), len(r.sim.Charges()))
	}
	if err := r.sim.SetCredits("main", 2); err != nil {
		t.Fatal(err)
	}
	r.item(session, r.source("/wav/1/a"))
	if got := r.balance("key"); got != 0 {
		t.Errorf("balance %v after the last upload, want 0", got)
	}
}

func TestPricesAndRefunds(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) {
		o.Prices = map[string]int64{"mountsea.upload": 0, "mountsea.generate": 7}
		o.RefundFailures = true
	})
	clip := r.clip(r.source("/wav/5/a"))
	if got := r.balance("key"); got != 10000 {
		t.Errorf("balance %v after a free upload, want 10000", got)
	}
	r.script(simulator.Next{Endpoint: "mountsea.generate", Kind: simulator.OperationTimeout, Count: 1})
	task := r.generate(map[string]any{"task": "extend", "model": "chirp-v50", "clip_id": clip})
	if got := r.balance("key"); got != 9993 {
		t.Errorf("balance %v after a generation at 7, want 9993", got)
	}
	r.clock.advance(99 * time.Second)
	if got := r.status(task)["status"]; got != "running" {
		t.Errorf("a second before its failure the task is %v, want running: there is nothing to stream", got)
	}
	r.clock.advance(time.Second)
	r.session() // any other change must not swallow the refund
	if got := r.status(task); got["status"] != "timeout" || got["failCode"] != 5004.0 {
		t.Errorf("got %v, want timeout with 5004", got)
	}
	if got := r.balance("key"); got != 10000 || !r.sim.Charges()[1].Refunded {
		t.Errorf("balance %v, refunded %t; want 10000 and true", got, r.sim.Charges()[1].Refunded)
	}
}

func TestPointsSearch(t *testing.T) {
	r := newRig(t, nil)
	session := r.session()
	for range 3 {
		r.item(session, r.source("/wav/1/a"))
		r.clock.advance(time.Second)
	}
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMilli()
	search := func(body map[string]any) reply {
		return r.do(http.MethodPost, "/mountsea-credits/api-user/points/search", "key", body)
	}
	got := r.object(search(map[string]any{"dateRange": map[string]any{"start": noon, "end": noon + 1500}, "page": 1, "limit": 1}))
	if diff := cmp.Diff(map[string]any{"totalItems": 2.0, "itemCount": 1.0, "itemsPerPage": 1.0, "totalPages": 2.0, "currentPage": 1.0}, got["meta"]); diff != "" {
		t.Errorf("meta (-want +got):\n%s", diff)
	}
	second := r.object(search(map[string]any{"dateRange": map[string]any{"start": noon, "end": noon + 1500}, "page": 2, "limit": 1}))
	if got := at(second, "items", 0, "afterCredits"); got != 9998.0 || len(listAt(second, "items")) != 1 {
		t.Errorf("page 2 begins with a balance of %v, want 9998, that of the oldest charge", got)
	}
	late := r.object(search(map[string]any{"dateRange": map[string]any{"start": noon + 1, "end": noon + 5000}}))
	if got := at(late, "meta", "totalItems"); got != 2.0 || at(late, "items", 1, "afterCredits") != 9996.0 {
		t.Errorf("%v items after the first one, want 2 that end with the second", got)
	}
	item, _ := at(got, "items", 0).(map[string]any)
	delete(item, "id")
	delete(item, "traceId")
	if diff := cmp.Diff(map[string]any{
		"serviceName": "suno", "apiPath": "/v2/audio/upload/session/item", "apiMethod": "POST", "finalAmount": 2.0,
		"beforeCredits": 9998.0, "afterCredits": 9996.0, "createdAt": "2026-03-01T12:00:01.000Z",
	}, item); diff != "" {
		t.Errorf("newest item (-want +got):\n%s", diff)
	}
	for name, body := range map[string]map[string]any{
		"no range":       {},
		"91 days":        {"dateRange": map[string]any{"start": 0, "end": 91 * 86400_000}},
		"page 0":         {"dateRange": map[string]any{"start": 0, "end": 1}, "page": 0},
		"half a page":    {"dateRange": map[string]any{"start": 0, "end": 1}, "page": 1.5},
		"limit too high": {"dateRange": map[string]any{"start": 0, "end": 1}, "limit": 1000},
	} {
		if got := search(body); got.status != 400 {
			t.Errorf("%s: status %d, want 400", name, got.status)
		}
	}
	far := r.object(search(map[string]any{"dateRange": map[string]any{"start": noon, "end": noon + 5000}, "page": 1e15}))
	if items := listAt(far, "items"); len(items) != 0 {
		t.Errorf("page 10^15 has %d items, want none", len(items))
	}
	usage := r.object(r.do(http.MethodPost, "/mountsea-credits/api-user/usage/search", "key",
		map[string]any{"dateRange": map[string]any{"start": noon, "end": noon + 5000}}))
	if items := listAt(usage, "items"); len(items) != 3 {
		t.Errorf("usage search has %d items, want 3", len(items))
	}
}
