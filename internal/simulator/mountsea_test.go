package simulator_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/simulator"
)

const uuidForm = "xxxxxxxx-xxxx-4xxx-xxxx-xxxxxxxxxxxx"

func looksLikeUUID(id string) bool {
	return len(id) == len(uuidForm) && id[8] == '-' && id[13] == '-' && id[14] == '4' && id[18] == '-' && id[23] == '-'
}

// TestSessionDocument walks through the document of the batch upload session,
// with the values of its examples.
func TestSessionDocument(t *testing.T) {
	r := newRig(t, nil)

	created := r.object(r.do(http.MethodPost, sessionPath, "key", nil))
	session, _ := created["sessionId"].(string)
	if len(created) != 1 || !looksLikeUUID(session) {
		t.Fatalf("prepare answered %v, want only a sessionId in UUID form", created)
	}
	prepared := r.status(session)
	if diff := cmp.Diff(map[string]any{
		"taskId": session, "status": "success", "data": map[string]any{"audioIds": []any{}},
		"createdAt": "2026-03-01T12:00:00.000Z", "finishAt": "2026-03-01T12:00:00.000Z",
	}, prepared); diff != "" {
		t.Errorf("session status after prepare (-want +got):\n%s", diff)
	}

	accepted := r.do(http.MethodPost, itemPath, "key", map[string]any{"sessionId": session, "audioUrl": r.source("/wav/30/a")})
	task, _ := r.object(accepted)["taskId"].(string)
	if accepted.status != 201 || len(r.object(accepted)) != 1 || !looksLikeUUID(task) {
		t.Fatalf("item: status %d, body %s; want 201 and only a taskId", accepted.status, accepted.body)
	}
	if got := r.status(session)["data"]; cmp.Diff(map[string]any{"audioIds": []any{}}, got) != "" {
		t.Errorf("in-flight upload is listed: %v", got)
	}

	r.settle(10 * time.Second)
	item := r.status(task)
	data, _ := item["data"].(map[string]any)
	clip, _ := data["id"].(string)
	if item["status"] != "success" || data["status"] != "complete" || !looksLikeUUID(clip) {
		t.Fatalf("finished item: %v, want status success with a complete clip", item)
	}
	wantKeys := []string{"audio_url", "display_tags", "has_vocal", "id", "image_url", "status"}
	if diff := cmp.Diff(wantKeys, slices.Sorted(maps.Keys(data))); diff != "" {
		t.Errorf("fields of a clip (-want +got):\n%s", diff)
	}
	if got := r.status(session)["data"]; cmp.Diff(map[string]any{"audioIds": []any{clip}}, got) != "" {
		t.Errorf("session lists %v, want the item's clip %s", got, clip)
	}
}

func TestSessionListsInOrderOfCompletion(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) {
		o.UploadTime = simulator.Timing{Mean: time.Minute, Jitter: 50 * time.Second}
	})
	session := r.session()
	finished := map[string]time.Time{} // by clip id
	tasks := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	for i, name := range tasks {
		tasks[i] = r.item(session, r.source("/wav/3/"+name))
	}
	failed := r.item(session, r.source("/missing"))
	r.settle(2 * time.Minute)
	for _, task := range tasks {
		item := r.status(task)
		end, err := time.Parse(time.RFC3339, textAt(item, "finishAt"))
		if err != nil {
			t.Fatalf("finishAt: %v", err)
		}
		finished[textAt(item, "data", "id")] = end
	}
	if got := r.status(failed)["status"]; got != "failed" {
		t.Errorf("item with a missing source is %v, want failed", got)
	}
	ids := listAt(r.status(session), "data", "audioIds")
	if len(ids) != 8 {
		t.Fatalf("%d audioIds, want the 8 that succeeded", len(ids))
	}
	order := make([]time.Time, 0, len(ids))
	for i := range ids {
		order = append(order, finished[textAt(ids, i)])
	}
	if !slices.IsSortedFunc(order, time.Time.Compare) {
		t.Errorf("audioIds are not in order of completion: %v", order)
	}
	if slices.IsSortedFunc(tasks, func(a, b string) int {
		return finished[textAt(r.status(a), "data", "id")].Compare(finished[textAt(r.status(b), "data", "id")])
	}) {
		t.Error("items finished in the order of submission: the jitter did nothing")
	}
}

func TestItemsThatFinishTogetherAreListedAsSubmitted(t *testing.T) {
	r := newRig(t, nil)
	session := r.session()
	tasks := strings.Split("abcdefghijklmnop", "")
	for i, name := range tasks {
		tasks[i] = r.item(session, r.source("/wav/1/"+name))
	}
	r.settle(10 * time.Second)
	want := make([]any, len(tasks))
	for i, task := range tasks {
		want[i] = textAt(r.status(task), "data", "id")
	}
	if diff := cmp.Diff(want, listAt(r.status(session), "data", "audioIds")); diff != "" {
		t.Errorf("audioIds (-want +got):\n%s", diff)
	}
}

func TestItemsStayOnTheSessionsAccount(t *testing.T) {
	r := newRig(t, nil)
	upstream := map[string]map[int]bool{}
	for range 6 {
		session := r.session()
		upstream[session] = map[int]bool{}
		for range 4 {
			r.item(session, r.source("/wav/1/x"))
		}
	}
	all := map[int]bool{}
	for _, c := range r.sim.Charges() {
		upstream[c.SessionID][c.UpstreamAccount] = true
		all[c.UpstreamAccount] = true
	}
	for session, used := range upstream {
		if len(used) != 1 {
			t.Errorf("session %s used the upstream accounts %v, want one", session, used)
		}
	}
	if len(all) < 2 {
		t.Errorf("six sessions used the upstream accounts %v, want several", all)
	}
}

func TestStatusPassesThroughItsWordsInOrder(t *testing.T) {
	r := newRig(t, nil)
	clip := r.clip(r.source("/wav/30/a"))
	cases := []struct {
		name, id string
		words    []string
		// after are the seconds since acceptance at which each word is asked for.
		after []int
	}{
		{
			"upload of 10 s", r.must(uploadPath, map[string]any{"audioUrl": r.source("/wav/30/b")}, "taskId"),
			[]string{"queued", "ready", "ready", "running", "running", "success"},
			[]int{0, 1, 2, 3, 9, 10},
		},
		{
			"generation of 100 s", r.generate(map[string]any{"task": "extend", "model": "chirp-v50", "clip_id": clip}),
			[]string{"queued", "ready", "running", "running", "stream", "stream", "success"},
			[]int{4, 5, 15, 69, 70, 99, 100},
		},
	}
	r.settle(0)
	start := r.clock.offset.Load()
	for _, c := range cases {
		var got []string
		for _, s := range c.after {
			r.clock.offset.Store(start + int64(s)*int64(time.Second))
			word, _ := r.status(c.id)["status"].(string)
			got = append(got, word)
		}
		if diff := cmp.Diff(c.words, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		r.clock.offset.Store(start)
	}
}

// TestSlowSource holds the source back: whatever the clock says, an operation
// is not done before its audio is there.
func TestSlowSource(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.Fetchers = 1 })
	asked, release := make(chan struct{}), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-release
		_, _ = w.Write(wav(2, "slow"))
	}))
	defer slow.Close()
	first := r.must(uploadPath, map[string]any{"audioUrl": slow.URL}, "taskId")
	<-asked
	second := r.must(uploadPath, map[string]any{"audioUrl": r.source("/wav/1/a")}, "taskId")
	r.clock.advance(time.Hour)
	if got := r.status(first)["status"]; got != "running" {
		t.Errorf("an hour into a download: %v, want running", got)
	}
	if got := r.status(second)["status"]; got != "queued" {
		t.Errorf("waiting behind the only download: %v, want queued", got)
	}
	close(release)
	r.settle(0)
	for _, id := range []string{first, second} {
		if got := r.status(id); got["status"] != "success" || got["finishAt"] != "2026-03-01T13:00:00.000Z" {
			t.Errorf("after the download: %v at %v, want success now", got["status"], got["finishAt"])
		}
	}
}
