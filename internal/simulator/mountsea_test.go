package simulator_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/audio"
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

func TestGenerateExtend(t *testing.T) {
	r := newRig(t, nil)
	clip := r.clip(r.source("/wav/30/a"))
	task := r.generate(map[string]any{
		"task": "extend", "model": "chirp-45+", "clip_id": clip, "continue_at": 20.5, "title": "Night Drive", "tags": "synthwave",
	})
	r.clock.advance(100 * time.Second)
	done := r.status(task)
	clips, _ := done["data"].([]any)
	if done["status"] != "success" || len(clips) != 2 {
		t.Fatalf("status %v with %d clips, want success with 2", done["status"], len(clips))
	}
	files := map[string]bool{}
	for _, one := range clips {
		if at(one, "title") != "Night Drive" || at(one, "metadata", "tags") != "synthwave" || at(one, "status") != "complete" {
			t.Errorf("clip %v, want the title and tags that were sent", one)
		}
		file := r.fetch(textAt(one, "audio_url"))
		files[string(file.body)] = true
		info, err := audio.Probe(bytes.NewReader(file.body))
		if err != nil {
			t.Fatalf("track does not decode: %v", err)
		}
		// 20.5 s plus 8 to 20 s, times the default scale of a tenth.
		declared, _ := at(one, "metadata", "duration").(float64)
		if info.Duration.Seconds() != declared || declared < 2.8 || declared > 4.1 {
			t.Errorf("file lasts %v, declared %v s; want them equal and 2.85 to 4.05 s", info.Duration, declared)
		}
		if info.Format != audio.MP3 || info.Truncated || file.header.Get("Content-Type") != "audio/mpeg" {
			t.Errorf("got %s truncated=%t as %q, want a whole MP3 as audio/mpeg", info.Format, info.Truncated, file.header.Get("Content-Type"))
		}
	}
	if len(files) != 2 {
		t.Error("both tracks have the same bytes")
	}
}

// TestTrackBytes looks into two files: the tag tells their songs apart, and so
// does the music.
func TestTrackBytes(t *testing.T) {
	r := newRig(t, nil)
	title := strings.Repeat("long ", 40)
	task := r.generate(map[string]any{"task": "create", "model": "chirp-v50", "title": title})
	r.clock.advance(100 * time.Second)
	data := r.status(task)["data"]
	first, second := r.fetch(textAt(data, 0, "audio_url")).body, r.fetch(textAt(data, 1, "audio_url")).body
	// 211 bytes of title frame and 53 of id frame are 264, that is 2 and 8 in
	// base 128; the title's 201 bytes are 1 and 73.
	if want := "ID3\x04\x00\x00\x00\x00\x02\x08TIT2\x00\x00\x01\x49"; string(first[:18]) != want || string(first[274:276]) != "\xff\xf3" {
		t.Errorf("file begins %q and has %q at 274; want %q and a frame", first[:18], first[274:276], want)
	}
	if !bytes.Contains(first[:274], []byte(title)) || !bytes.Contains(first[:274], []byte(textAt(data, 0, "id"))) {
		t.Errorf("tag %q, want the title and the clip id in it", first[:274])
	}
	if bytes.Equal(first[274:1000], second[274:1000]) {
		t.Error("both tracks begin with the same music")
	}
}

func TestStreamingTracksAreNotTheResult(t *testing.T) {
	r := newRig(t, nil)
	clip := r.clip(r.source("/wav/30/a"))
	task := r.generate(map[string]any{"task": "extend", "model": "chirp-v55", "clip_id": clip})
	r.clock.advance(80 * time.Second)
	early := r.status(task)
	if early["status"] != "stream" || at(early, "data", 0, "status") != "streaming" {
		t.Fatalf("status %v, clip %v; want a streaming one", early["status"], at(early, "data", 0))
	}
	address := textAt(early, "data", 0, "audio_url")
	half := r.fetch(address)
	r.clock.advance(20 * time.Second)
	r.status(task)
	whole := r.fetch(address)
	if half.status != 200 || len(half.body) >= len(whole.body) || half.header.Get("ETag") != "" {
		t.Errorf("streaming file: status %d, %d of %d bytes, ETag %q; want a part without ETag", half.status, len(half.body), len(whole.body), half.header.Get("ETag"))
	}
	if v := r.sim.Verdict(); v.EarlyDownloads != 1 || v.UnfetchedTracks != 1 {
		t.Errorf("%d early downloads, %d unfetched tracks; want 1 and 1 (the second track)", v.EarlyDownloads, v.UnfetchedTracks)
	}
}

// fetch gets an absolute address as a client of the CDN would, without a key.
func (r *rig) fetch(address string) reply {
	r.t.Helper()
	path, ours := strings.CutPrefix(address, r.api.URL)
	if !ours {
		r.t.Fatalf("address %q is not on %s", address, r.api.URL)
	}
	return r.do(http.MethodGet, path, "", nil)
}

func TestUploadExtend(t *testing.T) {
	r := newRig(t, nil)
	good := r.generate(map[string]any{"task": "upload_extend", "model": "chirp-v50", "audio_url": r.source("/wav/12/a"), "continue_at": 6})
	beyond := r.generate(map[string]any{"task": "upload_extend", "model": "chirp-v50", "audio_url": r.source("/wav/12/b"), "continue_at": 12})
	r.settle(100 * time.Second)
	if got := r.status(good)["status"]; got != "success" {
		t.Errorf("continuation inside the audio: %v, want success", got)
	}
	if got := r.status(beyond); got["status"] != "failed" || got["failCode"] != 4003.0 {
		t.Errorf("continuation beyond the audio: %v, want failed with 4003", got)
	}
	if got := r.balance("key"); got != 9980 {
		t.Errorf("balance %v after two generations at 10, want 9980", got)
	}
}

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

func TestEveryModelOfTheDocuments(t *testing.T) {
	r := newRig(t, nil)
	for _, model := range []string{
		"chirp-v35", "chirp-v40", "chirp-v45", "chirp-45+", "chirp-v45-lite", "chirp-v50", "chirp-v55",
		"chirp-custom:f259907e-32dd-468d-95f9-e3c0baf4f01c",
	} {
		if got := r.do(http.MethodPost, generatePath, "key", map[string]any{"task": "create", "model": model}); got.status/100 != 2 {
			t.Errorf("model %s: status %d, want 2xx", model, got.status)
		}
	}
	if got := r.do(http.MethodPost, generatePath, "key", map[string]any{"task": "create", "model": "chirp-custom:mine"}); got.status != 400 {
		t.Errorf("custom model without a UUID: status %d, want 400", got.status)
	}
}

func TestClipsOfOthersFail(t *testing.T) {
	r := newRig(t, nil)
	mine := r.clip(r.source("/wav/9/a"))
	extend := func(key, clip string) map[string]any {
		got := r.do(http.MethodPost, generatePath, key, map[string]any{"task": "extend", "model": "chirp-v50", "clip_id": clip})
		task, _ := r.object(got)["taskId"].(string)
		r.clock.advance(100 * time.Second)
		return r.object(r.do(http.MethodGet, statusPath+task, key, nil))
	}
	if got := extend("key", mine); got["status"] != "success" {
		t.Errorf("own clip: %v, want success", got)
	}
	if got := extend("other", mine); got["status"] != "failed" || got["failCode"] != 4004.0 {
		t.Errorf("clip of another account: %v, want failed with 4004", got)
	}
	if got := extend("key", "no-such-clip"); got["status"] != "failed" || got["failCode"] != 4004.0 {
		t.Errorf("unknown clip: %v, want failed with 4004", got)
	}
	got := r.do(http.MethodPost, itemPath, "other", map[string]any{"sessionId": r.session(), "audioUrl": r.source("/wav/1/a")})
	if got.status != 404 {
		t.Errorf("item in another account's session: status %d, want 404", got.status)
	}
	if v := r.sim.Verdict(); v.WrongAccount != 2 || v.UnknownIDs != 1 {
		t.Errorf("%d uses of another account's, %d of unknown ids; want 2 and 1", v.WrongAccount, v.UnknownIDs)
	}
}

func TestSameAccountGuarantee(t *testing.T) {
	r := newRig(t, nil)
	// Single uploads land on any account: take two that landed apart.
	byUpstream := map[int]string{}
	for i := range 12 {
		clip := r.clip(r.source("/wav/2/" + string(rune('a'+i))))
		byUpstream[r.sim.Charges()[i].UpstreamAccount] = clip
	}
	apart := slices.Collect(maps.Values(byUpstream))
	if len(apart) < 2 {
		t.Fatal("twelve single uploads landed on one upstream account")
	}
	session := r.session()
	for _, name := range []string{"x", "y"} {
		r.item(session, r.source("/wav/2/"+name))
	}
	r.settle(10 * time.Second)
	together := listAt(r.status(session), "data", "audioIds")

	if got := r.do(http.MethodPost, "/mountsea/suno/v2/playlist/create", "key", map[string]any{"clip_ids": apart[:2]}); got.status != 400 {
		t.Errorf("playlist across upstream accounts: status %d, want 400", got.status)
	}
	playlist := r.must("/mountsea/suno/v2/playlist/create", map[string]any{"clip_ids": together}, "playlist_id")
	inspired := r.generate(map[string]any{"task": "inspiration", "model": "chirp-v55", "playlist_id": playlist})
	mixed := r.generate(map[string]any{"task": "mashup", "model": "chirp-v55", "mashup_clip_ids": apart[:2]})
	joined := r.generate(map[string]any{"task": "mashup", "model": "chirp-v55", "mashup_clip_ids": together})
	r.clock.advance(100 * time.Second)
	for id, want := range map[string]string{inspired: "success", mixed: "failed", joined: "success"} {
		if got := r.status(id)["status"]; got != want {
			t.Errorf("task %s is %v, want %s", id, got, want)
		}
	}
}

func TestGenerateSchema(t *testing.T) {
	r := newRig(t, nil)
	var all []struct {
		Task       string `json:"task"`
		Required   []struct{ Field, Type string }
		NotAllowed []string
		Example    map[string]any
	}
	got := r.do(http.MethodGet, "/mountsea/suno/v2/generate/schema", "key", nil)
	if err := json.Unmarshal(got.body, &all); err != nil || len(all) != 15 {
		t.Fatalf("%d schemas (%v), want 15", len(all), err)
	}
	one := r.do(http.MethodGet, "/mountsea/suno/v2/generate/schema?task=extend", "key", nil)
	if err := json.Unmarshal(one.body, &all); err != nil || len(all) != 1 {
		t.Fatalf("%d schemas for one task (%v), want an array of 1", len(all), err)
	}
	if diff := cmp.Diff([]struct{ Field, Type string }{{"clip_id", "string"}, {"model", "string"}}, all[0].Required); diff != "" {
		t.Errorf("required fields of extend (-want +got):\n%s", diff)
	}
	if !slices.Contains(all[0].NotAllowed, "audio_url") || slices.Contains(all[0].NotAllowed, "continue_at") {
		t.Errorf("fields not allowed for extend: %v, want audio_url among them and not continue_at", all[0].NotAllowed)
	}
	if got := r.do(http.MethodGet, "/mountsea/suno/v2/generate/schema?task=prolong", "key", nil); got.status != 400 {
		t.Errorf("schema of an unknown task: status %d, want 400", got.status)
	}
}

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
		"serviceName": "suno", "apiPath": "/suno/v2/audio/upload/session/item", "apiMethod": "POST", "finalAmount": 2.0,
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
