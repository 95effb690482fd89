package simulator_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/audio"
)

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
