package simulator_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestUnusableSources(t *testing.T) {
	r := newRig(t, nil)
	closed := r.sources.URL[:strings.LastIndex(r.sources.URL, ":")] + ":1/a.mp3"
	cases := []struct {
		name, address string
		code          float64
		reason        string
	}{
		{"missing", r.source("/missing.mp3"), 4001, "Audio source not found."},
		{"nobody listens", closed, 4001, "Audio source not found."},
		{"connection breaks", r.source("/broken"), 4001, "Audio source not found."},
		{"a web page", r.source("/text"), 4002, "Unsupported or damaged audio file."},
		{"half a file", r.source("/cut"), 4002, "Unsupported or damaged audio file."},
		{"nothing", r.source("/empty"), 4002, "Unsupported or damaged audio file."},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			task := r.must(uploadPath, map[string]any{"audioUrl": c.address}, "taskId")
			r.settle(10 * time.Second)
			got := r.status(task)
			if got["status"] != "failed" || got["failCode"] != c.code || got["failReason"] != c.reason {
				t.Errorf("got %v, want failed with %v %q", got, c.code, c.reason)
			}
			if _, has := got["data"]; has {
				t.Errorf("a failed task has data: %v", got["data"])
			}
		})
	}
	if got := r.balance("key"); got != 9988 {
		t.Errorf("balance %v, want 9988: six uploads at 2 are charged at acceptance and not refunded", got)
	}
}

func TestRefusedBodies(t *testing.T) {
	r := newRig(t, nil)
	session := r.session()
	cases := []struct {
		name, path string
		body       any
		want       int
	}{
		{"item without session", itemPath, map[string]any{"audioUrl": "http://x/a"}, 400},
		{"item without audio", itemPath, map[string]any{"sessionId": session}, 400},
		{"item of an unknown session", itemPath, map[string]any{"sessionId": "f259907e-32dd-468d-95f9-e3c0baf4f01c", "audioUrl": "http://x/a"}, 404},
		{"audio is no address", uploadPath, map[string]any{"audioUrl": "songs/a.mp3"}, 400},
		{"audio is a file address", uploadPath, map[string]any{"audioUrl": "file:///a.mp3"}, 400},
		{"audio is a number", uploadPath, map[string]any{"audioUrl": 5}, 400},
		{"array", uploadPath, []string{"a"}, 400},
		{"null", uploadPath, rawBody(`null`), 400},
		{"no JSON", uploadPath, rawBody(`audioUrl=http://x/a`), 400},
		{"two objects", uploadPath, rawBody(`{"audioUrl":"http://x/a"} {}`), 400},
		{"no task", generatePath, map[string]any{"model": "chirp-v50"}, 400},
		{"unknown task", generatePath, map[string]any{"task": "prolong", "model": "chirp-v50"}, 400},
		{"no model", generatePath, map[string]any{"task": "extend", "clip_id": "x"}, 400},
		{"unknown model", generatePath, map[string]any{"task": "extend", "clip_id": "x", "model": "V5"}, 400},
		{"extend without clip", generatePath, map[string]any{"task": "extend", "model": "chirp-v50"}, 400},
		{"upload_extend without audio", generatePath, map[string]any{"task": "upload_extend", "model": "chirp-v50"}, 400},
		{"position as text", generatePath, map[string]any{"task": "extend", "clip_id": "x", "model": "chirp-v50", "continue_at": "30"}, 400},
		{"negative position", generatePath, map[string]any{"task": "extend", "clip_id": "x", "model": "chirp-v50", "continue_at": -1}, 400},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := r.do(http.MethodPost, c.path, "key", c.body); got.status != c.want {
				t.Errorf("status %d, body %s; want %d", got.status, got.body, c.want)
			}
		})
	}
	if got := len(r.sim.Charges()); got != 0 {
		t.Errorf("%d charges for refused requests, want none", got)
	}
	v := r.sim.Verdict()
	wantMissing := map[string]int{
		"mountsea.item sessionId": 1, "mountsea.item audioUrl": 1, "mountsea.upload audioUrl": 1, "mountsea.generate task": 1,
		"mountsea.generate model": 1, "mountsea.generate clip_id": 1, "mountsea.generate audio_url": 1,
	}
	if diff := cmp.Diff(wantMissing, v.MissingFields); diff != "" {
		t.Errorf("missing fields (-want +got):\n%s", diff)
	}
	if v.Clean {
		t.Error("the verdict is clean after so many refused requests")
	}
}

func TestBodyMustBeDeclaredAsJSON(t *testing.T) {
	r := newRig(t, nil)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.api.URL+uploadPath, strings.NewReader(`{"audioUrl":"http://x/a"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer key")
	res, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d without a Content-Type, want 400", res.StatusCode)
	}
}

func TestStatusOfUnknownAndForeignTasks(t *testing.T) {
	r := newRig(t, nil)
	session := r.session()
	if got := r.do(http.MethodGet, statusPath+"nonsense", "key", nil); got.status != 404 {
		t.Errorf("unknown task: status %d, want 404", got.status)
	}
	if got := r.do(http.MethodGet, statusPath+session, "other", nil); got.status != 404 {
		t.Errorf("another account's session: status %d, want 404", got.status)
	}
	if got := r.do(http.MethodGet, statusPath, "key", nil); got.status != 400 {
		t.Errorf("no task id: status %d, want 400", got.status)
	}
	if got := r.do(http.MethodGet, "/mountsea/suno/v1/status", "key", nil); got.status != 404 {
		t.Errorf("unknown path: status %d, want 404", got.status)
	}
	if v := r.sim.Verdict(); v.UnknownIDs != 1 || v.WrongAccount != 1 || v.UnknownPaths != 1 {
		t.Errorf("%d unknown ids, %d of others, %d unknown paths; want 1 each", v.UnknownIDs, v.WrongAccount, v.UnknownPaths)
	}
}
