package simulator_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/simulator"
)

const stagingPath = "/kie-staging/api/file-"

// stage sends a body to a staging host as a browser would.
func (r *rig) stage(path, media string, body io.Reader) reply {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.api.URL+path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", media)
	req.Header.Set("Authorization", "Bearer key")
	req.Header.Set("User-Agent", browser)
	res, err := r.client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = res.Body.Close() }()
	return reply{status: res.StatusCode, header: res.Header, body: readAll(r.t, res)}
}

// part is a field of a form; the one called "file" is the file.
type part struct{ name, value string }

func (r *rig) stageStream(parts ...part) reply {
	r.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, p := range parts {
		var out io.Writer
		var err error
		if p.name == "file" {
			out, err = w.CreateFormFile("file", "my song.mp3")
		} else {
			out, err = w.CreateFormField(p.name)
		}
		if err == nil {
			_, err = io.WriteString(out, p.value)
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		r.t.Fatal(err)
	}
	return r.stage(stagingPath+"stream-upload", w.FormDataContentType(), &body)
}

func (r *rig) stageJSON(path, body string) reply {
	return r.stage(path, "application/json", strings.NewReader(body))
}

func TestStagingAStream(t *testing.T) {
	for _, order := range [][]part{
		{{"file", "sound"}, {"uploadPath", "songs/in"}, {"fileName", "a.mp3"}},
		{{"fileName", "a.mp3"}, {"uploadPath", "/songs/in/"}, {"file", "sound"}},
	} {
		r := newRig(t, nil)
		got := r.object(r.stageStream(order...))
		link := textAt(got, "data", "downloadUrl")
		if at(got, "success") != any(true) || got["code"] != 200.0 || at(got, "data", "fileName") != "a.mp3" || at(got, "data", "fileSize") != 5.0 || at(got, "data", "mimeType") != "audio/mpeg" {
			t.Errorf("answer %v, want a.mp3 of 5 bytes", got)
		}
		file := r.fetch(link)
		if file.status != 200 || string(file.body) != "sound" || file.header.Get("Content-Type") != "audio/mpeg" || !strings.HasSuffix(link, "/songs/in/a.mp3") {
			t.Errorf("%s: status %d, %q as %s; want the bytes back", link, file.status, file.body, file.header.Get("Content-Type"))
		}
	}
}

func TestStagingShapes(t *testing.T) {
	shapes := map[string]bool{}
	for seed := range int64(12) {
		r := newRig(t, bySeed(seed+1))
		data, _ := r.object(r.stageStream(part{"file", "sound"}, part{"uploadPath", "in"}))["data"].(map[string]any)
		fields := slices.Sorted(maps.Keys(data))
		shapes[strings.Join(fields, " ")] = true
		if name := textAt(data, "fileName"); !strings.HasSuffix(name, ".mp3") || strings.Contains(name, "song") {
			t.Errorf("chosen name %q, want a random one with the suffix", name)
		}
	}
	want := map[string]bool{
		"downloadUrl fileName filePath fileSize mimeType uploadedAt":                                         true,
		"downloadUrl expiresAt fileId fileName fileSize fileUrl mimeType originalName uploadPath uploadTime": true,
	}
	if diff := cmp.Diff(want, shapes); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

func TestStagingFromAnAddressAndBase64(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.KIE.Errors = "status" })
	whole := wav(2, "a")
	bare := base64.StdEncoding.EncodeToString(whole)
	for name, c := range map[string]struct {
		path, body string
		want       int
	}{
		"address":          {"url-upload", `{"fileUrl":"` + r.source("/wav/2/a") + `","uploadPath":"in","fileName":"a.wav"}`, 200},
		"missing file":     {"url-upload", `{"fileUrl":"` + r.source("/missing") + `","uploadPath":"in"}`, 400},
		"broken file":      {"url-upload", `{"fileUrl":"` + r.source("/broken") + `","uploadPath":"in"}`, 400},
		"no address":       {"url-upload", `{"uploadPath":"in"}`, 400},
		"no folder":        {"url-upload", `{"fileUrl":"` + r.source("/wav/2/a") + `"}`, 400},
		"bare Base64":      {"base64-upload", `{"base64Data":"` + bare + `","uploadPath":"in","fileName":"b.wav"}`, 200},
		"data URL":         {"base64-upload", `{"base64Data":"data:audio/wav;base64,` + bare + `","uploadPath":"in"}`, 200},
		"not Base64":       {"base64-upload", `{"base64Data":"%%%%","uploadPath":"in"}`, 400},
		"Base64 elsewhere": {"base64-upload", `{"base64Data":"` + bare + `"}`, 400},
	} {
		t.Run(name, func(t *testing.T) {
			got := r.stageJSON(stagingPath+c.path, c.body)
			if got.status != c.want {
				t.Fatalf("status %d, body %s; want %d", got.status, got.body, c.want)
			}
			if c.want != 200 {
				return
			}
			if file := r.fetch(textAt(r.object(got), "data", "downloadUrl")); !bytes.Equal(file.body, whole) {
				t.Errorf("%d bytes came back, want the %d sent", len(file.body), len(whole))
			}
		})
	}
	if got := len(r.sim.Charges()); got != 0 {
		t.Errorf("%d charges, want none: staging is free", got)
	}
}

func TestStagingRefusals(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.KIE.Errors = "body" })
	for name, parts := range map[string][]part{
		"no file":         {{"uploadPath", "in"}},
		"no folder":       {{"file", "sound"}},
		"folder above":    {{"file", "sound"}, {"uploadPath", "../.."}},
		"name with paths": {{"file", "sound"}, {"uploadPath", "in"}, {"fileName", "../a.mp3"}},
		"name of dots":    {{"file", "sound"}, {"uploadPath", "in"}, {"fileName", ".."}},
	} {
		got := r.stageStream(parts...)
		if body := r.object(got); got.status != 200 || body["code"] != 400.0 || at(body, "success") != any(false) {
			t.Errorf("%s: status %d, %v; want code 400", name, got.status, body)
		}
	}
	if got := r.object(r.stage(stagingPath+"stream-upload", "application/json", strings.NewReader("{}"))); got["code"] != 400.0 {
		t.Errorf("JSON instead of a form: %v, want code 400", got)
	}
	damaged := r.stage(stagingPath+"stream-upload", "multipart/form-data; boundary=x", strings.NewReader("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nsou"))
	if got := r.object(damaged); got["code"] != 400.0 {
		t.Errorf("half a form: %v, want code 400", got)
	}
}

// TestStagingTurnsRobotsAway holds the answer that looks like a bad key.
func TestStagingTurnsRobotsAway(t *testing.T) {
	r := newRig(t, nil)
	for agent, want := range map[string]int{
		"Go-http-client/1.1": 403, "Go-http-client/2.0": 403, "python-requests/2.32.3": 403, "": 403,
		browser: 200, "segue/1.0 (+https://example.com)": 200,
	} {
		for _, host := range []string{"kie", "sunoapi"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.api.URL+"/"+host+"-staging/api/file-url-upload",
				strings.NewReader(`{"fileUrl":"`+r.source("/wav/1/a")+`","uploadPath":"in"}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Authorization", "Bearer key")
			req.Header.Set("User-Agent", agent)
			res, err := r.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body := string(readAll(t, res))
			_ = res.Body.Close()
			if res.StatusCode != want || (want == 403) != (strings.TrimSpace(body) == "error code: 1010") {
				t.Errorf("%q at %s: status %d, body %q; want %d", agent, host, res.StatusCode, body, want)
			}
		}
	}
	if v := r.sim.Verdict(); v.BlockedAgents != 8 || v.Clean {
		t.Errorf("%d blocked, clean %t; want 8 and false", v.BlockedAgents, v.Clean)
	}
}

func TestStagedFilesExpire(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.KIE.Unreachable = "late" })
	link := textAt(r.object(r.stageStream(part{"file", string(wav(30, "a"))}, part{"uploadPath", "in"})), "data", "downloadUrl")
	r.clock.advance(24*time.Hour - time.Second)
	if got := r.fetch(link); got.status != 200 {
		t.Errorf("before a day has passed: %d, want 200", got.status)
	}
	r.clock.advance(time.Second)
	task := r.extended("kie", map[string]any{"uploadUrl": link})
	r.settle(100 * time.Second)
	if got := r.record("kie", task); got["errorMessage"] != "Can't fetch the uploaded audio." {
		t.Errorf("continuation of an expired file: %v, want a failure", got)
	}
	if v := r.sim.Verdict(); v.ExpiredFiles != 1 || v.Clean {
		t.Errorf("%d expired, clean %t; want 1 and false", v.ExpiredFiles, v.Clean)
	}
}

func TestStagingReplacesFilesOfOneName(t *testing.T) {
	after := map[string]bool{}
	for seed := range int64(12) {
		dir := t.TempDir()
		r := newRig(t, func(o *simulator.Options) { o.Seed, o.Files = seed+1, dir })
		put := func(text string) string {
			return textAt(r.object(r.stageStream(part{"file", text}, part{"uploadPath", "in"}, part{"fileName", "a.mp3"})), "data", "downloadUrl")
		}
		put("oldest")
		link := put("old")
		if got := string(r.fetch(link).body); got != "old" {
			t.Errorf("overwritten before anybody asked: %q, want old", got)
		}
		if again := put("new"); again != link {
			t.Fatalf("the second file is at %s, want %s", again, link)
		}
		after[string(r.fetch(link).body)] = true
		r.clock.advance(time.Hour)
		if got := string(r.fetch(link).body); got != "new" {
			t.Errorf("an hour later: %q, want new", got)
		}
		if kept, err := os.ReadDir(dir); len(kept) != 2 || err != nil {
			t.Errorf("%d files on disk (%v), want the last two", len(kept), err)
		}
		if v := r.sim.Verdict(); v.OverwrittenFiles != 2 {
			t.Errorf("%d overwritten, want 2", v.OverwrittenFiles)
		}
	}
	if diff := cmp.Diff(map[string]bool{"old": true, "new": true}, after); diff != "" {
		t.Errorf("what some seeds give out at once (-want +got):\n%s", diff)
	}
}

func TestStagedFilesOfOthersAreApart(t *testing.T) {
	r := newRig(t, nil)
	links := map[string]bool{}
	for _, key := range []string{"a", "b"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.api.URL+stagingPath+"base64-upload", strings.NewReader(`{"base64Data":"`+base64.StdEncoding.EncodeToString([]byte(key))+`","uploadPath":"in","fileName":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("User-Agent", browser)
		got := r.send(req)
		link := textAt(r.object(got), "data", "downloadUrl")
		links[link] = true
		if file := r.fetch(link); string(file.body) != key {
			t.Errorf("%s: %q, want %q", link, file.body, key)
		}
	}
	if len(links) != 2 {
		t.Errorf("links %v, want two", links)
	}
}

func TestStagedFilesOutliveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sim.jsonl")
	journal := func(o *simulator.Options) { o.Journal = path }
	first := newRig(t, journal)
	link := textAt(first.object(first.stageStream(part{"file", "sound"}, part{"uploadPath", "in"})), "data", "downloadUrl")
	if err := first.sim.Close(); err != nil {
		t.Fatal(err)
	}
	second := newRig(t, journal)
	if got := second.fetch(strings.Replace(link, first.api.URL, second.api.URL, 1)); string(got.body) != "sound" {
		t.Errorf("status %d, %q; want the bytes back", got.status, got.body)
	}
}

func TestLostAnswerOfStaging(t *testing.T) {
	r := newRig(t, nil)
	r.script(
		simulator.Next{Endpoint: "kie.stage_stream", Kind: simulator.DropAfter, Count: 1},
		simulator.Next{Endpoint: "kie.stage_stream", Kind: simulator.Denied, Count: 1},
	)
	form := []part{{"file", "sound"}, {"uploadPath", "in"}, {"fileName", "a.mp3"}}
	if got := r.stageStream(form...); got.err == nil {
		t.Errorf("status %d, want a broken connection", got.status)
	}
	if got := r.object(r.stageStream(form...)); got["code"] != 401.0 || at(got, "success") != any(false) {
		t.Errorf("answer %v, want code 401", got)
	}
	r.stageStream(form...)
	if v := r.sim.Verdict(); v.OverwrittenFiles != 1 {
		t.Errorf("%d overwritten, want 1: the lost answer was about a kept file", v.OverwrittenFiles)
	}
}

// TestStagingNeedsFlatMemory sends more than the process may grow by.
func TestStagingNeedsFlatMemory(t *testing.T) {
	const size = 32 << 20
	r := newRig(t, nil)
	read, write := io.Pipe()
	w := multipart.NewWriter(write)
	go func() {
		err := w.WriteField("uploadPath", "in")
		if err == nil {
			var out io.Writer
			if out, err = w.CreateFormFile("file", "big.wav"); err == nil {
				_, err = io.Copy(out, io.LimitReader(silence{}, size))
			}
		}
		if err == nil {
			err = w.Close()
		}
		_ = write.CloseWithError(err)
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := r.object(r.stage(stagingPath+"stream-upload", w.FormDataContentType(), read))
	runtime.ReadMemStats(&after)
	if at(got, "data", "fileSize") != float64(size) {
		t.Fatalf("answer %v, want %d bytes", got, size)
	}
	// All that was allocated on the way, kept or not.
	if grown := after.TotalAlloc - before.TotalAlloc; grown > size/4 {
		t.Errorf("%d bytes allocated for a file of %d, want a small part of it", grown, size)
	}
}

// silence is an endless file.
type silence struct{}

func (silence) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
