package simulator_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/simulator"
)

// TestKkiaiSixSteps goes the documented way, over both ways into the storage.
func TestKkiaiSixSteps(t *testing.T) {
	for name, want := range map[string]struct {
		choice   simulator.Kkiai
		transfer int
		word     string
	}{
		"PUT, completed": {simulator.Kkiai{Ticket: "put", Done: "completed"}, 200, "completed"},
		"POST, complete": {simulator.Kkiai{Ticket: "post", Done: "complete"}, 204, "complete"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(o *simulator.Options) { o.Kkiai = want.choice })
			k := r.authorize("wav")
			if (k.fields != nil) != (want.choice.Ticket == "post") {
				t.Fatalf("ticket with fields %v, want them for a POST only", k.fields)
			}
			if got := r.transfer(k, wav(30, "song")); got.status != want.transfer || len(got.body) != 0 {
				t.Errorf("transfer: status %d, %q; want %d and nothing", got.status, got.body, want.transfer)
			}
			if got := r.finishUpload(k.id); got.status != 200 || string(got.body) != "{}" {
				t.Errorf("upload-finish: status %d, %s; want 200 and {}", got.status, got.body)
			}
			r.settle(10 * time.Second)
			if got := r.uploadStatus(k.id)["status"]; got != want.word {
				t.Errorf("upload is %v in the end, want %s", got, want.word)
			}
			clip := textAt(r.object(r.initialize(k.id)), "clip_id")
			if len(r.sim.Charges()) != 0 {
				t.Errorf("%d charges before step six, want none", len(r.sim.Charges()))
			}
			task := r.submit(clip, nil)
			r.clock.advance(100 * time.Second)
			data := r.fetchTask(task)
			if data["status"] != "SUCCESS" || len(listAt(data, "data")) != 2 {
				t.Fatalf("task: %v, want SUCCESS and two clips", data)
			}
			for _, track := range listAt(data, "data") {
				r.fetch(textAt(track, "audio_url"))
			}
			if v := r.sim.Verdict(); !v.Clean || v.Credits != 10 || v.Charges != 1 {
				t.Errorf("clean %t, %d charges, %d credits; want true, 1, 10: %+v", v.Clean, v.Charges, v.Credits, v.Conduct)
			}
		})
	}
}

func TestKkiaiCharge(t *testing.T) {
	r := kkiaiRig(t, func(o *simulator.Options) {
		o.Keys = map[string]simulator.Account{"key": {Name: "main", Credits: 100}}
	})
	task := r.submit(r.uploadedClip(wav(1, "a")), map[string]any{"continue_at": 0})
	got := r.sim.Charges()[0]
	if got.UpstreamAccount < 500001 || got.UpstreamAccount > 500005 || len(got.ParamsHash) != 16 {
		t.Errorf("upstream account %d, parameter hash %q; want 500001 to 500005 and 16 digits", got.UpstreamAccount, got.ParamsHash)
	}
	got.UpstreamAccount, got.ParamsHash = 0, ""
	want := simulator.Charge{
		Seq: 1, Time: time.Date(2026, 3, 1, 12, 0, 10, 0, time.UTC), Provider: "kkiai", Account: "main", Endpoint: "kkiai.submit",
		OperationID: task, Credits: 10, Before: 100, After: 90,
		AudioSHA256: "55715ed37612232d21901a7ecd05c4a38f8c39ed215b58c6918b9556898ff28a",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("charge (-want +got):\n%s", diff)
	}
}

func TestKkiaiUploadStages(t *testing.T) {
	r := kkiaiRig(t, nil)
	id := r.report(wav(5, "song"))
	r.settle(0)
	var got []string
	for range 12 {
		if word := textAt(r.uploadStatus(id), "status"); len(got) == 0 || got[len(got)-1] != word {
			got = append(got, word)
		}
		r.clock.advance(time.Second)
	}
	want := []string{"processing", "passed_audio_processing", "passed_artist_moderation", "completed"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status words (-want +got):\n%s", diff)
	}
	if v := r.sim.Verdict(); v.FastPolls != 11 {
		t.Errorf("%d fast polls for one question a second, want 11", v.FastPolls)
	}
}

func TestKkiaiUploadAnswer(t *testing.T) {
	r := kkiaiRig(t, nil)
	id := r.report(wav(5, "song"))
	early := r.uploadStatus(id)
	want := map[string]any{
		"id": id, "status": "processing", "error_message": nil, "s3_id": nil, "title": "my_audio", "image_url": nil,
	}
	if diff := cmp.Diff(want, early); diff != "" {
		t.Errorf("at first (-want +got):\n%s", diff)
	}
	r.settle(10 * time.Second)
	if got := r.initialize(id); got.status != 200 {
		t.Fatalf("initialize-clip: status %d, want 200", got.status)
	}
	done := r.uploadStatus(id)
	if s3 := textAt(done, "s3_id"); !strings.HasPrefix(s3, "m_") || len(s3) != 38 || done["error_message"] != nil {
		t.Errorf("s3_id %q, error_message %v; want m_ with a UUID, and null", s3, done["error_message"])
	}
	if got := r.do(http.MethodGet, strings.TrimPrefix(textAt(done, "image_url"), r.api.URL), "", nil); got.status != 200 {
		t.Errorf("cover: status %d, want 200", got.status)
	}
}

func TestKkiaiUploadsThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		file   []byte
		kind   simulator.Kind
		reason string
	}{
		"not audio":         {[]byte("<html>please log in</html>"), "", "Unsupported or damaged audio file."},
		"empty":             {nil, "", "Unsupported or damaged audio file."},
		"cut off":           {wav(5, "cut")[:20000], "", "Unsupported or damaged audio file."},
		"of somebody else":  {wav(5, "song"), simulator.OperationFailed, "Uploaded audio matches existing work of art"},
		"unlucky and empty": {nil, simulator.OperationFailed, "Unsupported or damaged audio file."},
	} {
		t.Run(name, func(t *testing.T) {
			r := kkiaiRig(t, nil)
			if c.kind != "" {
				r.script(simulator.Next{Endpoint: "kkiai.finish", Kind: c.kind, Count: 1})
			}
			id := r.report(c.file)
			r.settle(9 * time.Second)
			if got := textAt(r.uploadStatus(id), "status"); got != "processing" {
				t.Errorf("status %q before the end, want processing", got)
			}
			r.clock.advance(time.Second)
			got := r.uploadStatus(id)
			if got["status"] != "error" || got["error_message"] != c.reason {
				t.Errorf("status %v, message %v; want error and %q", got["status"], got["error_message"], c.reason)
			}
			if got := r.initialize(id); got.status != 400 {
				t.Errorf("initialize-clip: status %d, want 400", got.status)
			}
			if v := r.sim.Verdict(); v.Charges != 0 || v.StepsOutOfOrder != 0 {
				t.Errorf("%d charges, %d steps out of order; want none", v.Charges, v.StepsOutOfOrder)
			}
		})
	}
}

func TestKkiaiStepsOutOfOrder(t *testing.T) {
	r := kkiaiRig(t, nil)
	k := r.authorize("mp3")
	if got := r.finishUpload(k.id); got.status != 400 {
		t.Errorf("upload-finish without a file: status %d, want 400", got.status)
	}
	if got := r.initialize(k.id); got.status != 400 {
		t.Errorf("initialize-clip without a file: status %d, want 400", got.status)
	}
	r.transfer(k, wav(5, "song"))
	r.finishUpload(k.id)
	r.settle(9 * time.Second)
	if got := r.initialize(k.id); got.status != 400 {
		t.Errorf("initialize-clip before the end: status %d, want 400", got.status)
	}
	if got := r.transfer(k, wav(5, "other")); got.status != 200 {
		t.Errorf("a transfer after the report: status %d, want 200: the storage knows nothing of reports", got.status)
	}
	if v := r.sim.Verdict(); v.StepsOutOfOrder != 4 || v.Clean {
		t.Errorf("%d steps out of order, clean %t; want 4 and false", v.StepsOutOfOrder, v.Clean)
	}
}

func TestKkiaiRepeatedSteps(t *testing.T) {
	for repeat, want := range map[string]int{"same": 200, "refused": 400} {
		t.Run(repeat, func(t *testing.T) {
			r := kkiaiRig(t, func(o *simulator.Options) { o.Kkiai.Repeat = repeat })
			id := r.report(wav(5, "song"))
			if got := r.finishUpload(id); got.status != want {
				t.Errorf("second upload-finish: status %d, want %d", got.status, want)
			}
			r.settle(10 * time.Second)
			first, second := r.initialize(id), r.initialize(id)
			if first.status != 200 || second.status != want {
				t.Errorf("initialize-clip: status %d, then %d; want 200 and %d", first.status, second.status, want)
			}
			if want == 200 && !bytes.Equal(first.body, second.body) {
				t.Errorf("initialize-clip answered %s, then %s; want one clip", first.body, second.body)
			}
			if v := r.sim.Verdict(); v.RepeatedSteps != 2 || !v.Clean {
				t.Errorf("%d repeated steps, clean %t; want 2 and true", v.RepeatedSteps, v.Clean)
			}
		})
	}
}

func TestKkiaiInitializeWithoutABody(t *testing.T) {
	r := kkiaiRig(t, nil)
	id := r.report(wav(5, "song"))
	r.settle(10 * time.Second)
	got := r.do(http.MethodPost, kkiaiUploads+"/"+id+"/initialize-clip", "key", nil)
	if got.status != 200 || textAt(r.object(got), "clip_id") == "" {
		t.Errorf("status %d, %s; want 200 and a clip", got.status, got.body)
	}
}

// TestKkiaiBotCheck: a 400 that is neither "not yet" nor "never".
func TestKkiaiBotCheck(t *testing.T) {
	r := kkiaiRig(t, func(o *simulator.Options) { o.Kkiai.Repeat = "refused" })
	id := r.report(wav(5, "song"))
	r.settle(10 * time.Second)
	r.script(simulator.Next{Endpoint: "kkiai.initialize", Kind: simulator.BotCheck, Count: 1})
	got := r.initialize(id)
	if got.status != 400 || len(got.body) != 0 || got.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("status %d, %q as %q; want 400 and an empty page", got.status, got.body, got.header.Get("Content-Type"))
	}
	if got := r.initialize(id); got.status != 200 {
		t.Errorf("again: status %d, want 200: nothing had happened", got.status)
	}
}

// TestKkiaiBelievesUploads: without looking, anything is three minutes of music.
func TestKkiaiBelievesUploads(t *testing.T) {
	r := kkiaiRig(t, func(o *simulator.Options) { o.NoFetch = true })
	clip := r.uploadedClip([]byte("not audio"))
	r.submit(clip, map[string]any{"continue_at": 179})
	if got := r.do(http.MethodPost, kkiaiSubmits, "key", continuation(clip, map[string]any{"continue_at": 180})); got.status != 400 {
		t.Errorf("beyond three minutes: status %d, want 400", got.status)
	}
	if got := r.sim.Charges()[0].AudioSHA256; got != "e23b51a40d21aad70200ec1f08c6e4883d6ca40c22b6ffbdff306c9c62c408e4" {
		t.Errorf("hash %q, want that of the bytes", got)
	}
}

// TestKkiaiLinksLeadBack: files are where the asking client found the provider.
func TestKkiaiLinksLeadBack(t *testing.T) {
	r := kkiaiRig(t, nil)
	task := r.submit(r.uploadedClip(wav(30, "song")), nil)
	r.clock.advance(100 * time.Second)
	w := direct(r.sim, http.MethodGet, kkiaiFetches+task, "")
	if !strings.Contains(w.Body.String(), `"audio_url":"http://example.com/cdn/`) {
		t.Errorf("asked as example.com: %s, want files there", w.Body)
	}
}

// TestKkiaiAccounts uses one account's upload, clip and task with another's key.
func TestKkiaiAccounts(t *testing.T) {
	r := kkiaiRig(t, nil)
	clip := r.uploadedClip(wav(30, "song"))
	k := r.authorize("wav")
	task := r.submit(clip, nil)
	for name, c := range map[string]struct {
		method, path string
		body         any
		want         int
	}{
		"status":  {http.MethodGet, kkiaiUploads + "/" + k.id, nil, 404},
		"finish":  {http.MethodPost, kkiaiUploads + "/" + k.id + "/upload-finish", map[string]any{"upload_type": "file_upload", "upload_filename": "a"}, 404},
		"clip":    {http.MethodPost, kkiaiUploads + "/" + k.id + "/initialize-clip", map[string]any{}, 404},
		"submit":  {http.MethodPost, kkiaiSubmits, continuation(clip, nil), 400},
		"fetch":   {http.MethodGet, kkiaiFetches + task, nil, 400},
		"unknown": {http.MethodGet, kkiaiFetches + "nothing", nil, 400},
	} {
		if got := r.do(c.method, c.path, "stranger", c.body); got.status != c.want {
			t.Errorf("%s: status %d, want %d: %s", name, got.status, c.want, got.body)
		}
	}
	if got := r.do(http.MethodPost, kkiaiFetches[:len(kkiaiFetches)-1], "stranger", map[string]any{"ids": []string{task}}); string(got.body) != `{"code":"success","message":"","data":[]}` {
		t.Errorf("batch over another account's task: %s, want an empty list", got.body)
	}
	if v := r.sim.Verdict(); v.WrongAccount != 6 || v.UnknownIDs != 1 || v.Charges != 1 {
		t.Errorf("%d uses of another account, %d unknown ids, %d charges; want 6, 1, 1", v.WrongAccount, v.UnknownIDs, v.Charges)
	}
}

func TestKkiaiRefusals(t *testing.T) {
	r := kkiaiRig(t, nil)
	for name, c := range map[string]struct {
		method, path, key string
		body              any
		status            int
	}{
		"no key":            {http.MethodPost, kkiaiUploads, "", map[string]any{"extension": "mp3"}, 401},
		"wrong key":         {http.MethodPost, kkiaiSubmits, "wrong", map[string]any{}, 401},
		"no extension":      {http.MethodPost, kkiaiUploads, "key", map[string]any{}, 400},
		"unknown extension": {http.MethodPost, kkiaiUploads, "key", map[string]any{"extension": "exe"}, 400},
		"not JSON":          {http.MethodPost, kkiaiUploads, "key", rawBody("extension=mp3"), 400},
		"no upload_type":    {http.MethodPost, kkiaiUploads + "/x/upload-finish", "key", map[string]any{"upload_filename": "a"}, 400},
		"no filename":       {http.MethodPost, kkiaiUploads + "/x/upload-finish", "key", map[string]any{"upload_type": "file_upload"}, 400},
		"unknown type":      {http.MethodPost, kkiaiUploads + "/x/upload-finish", "key", map[string]any{"upload_type": "x", "upload_filename": "a"}, 400},
		"unknown upload":    {http.MethodGet, kkiaiUploads + "/x", "key", nil, 404},
		"no ids":            {http.MethodPost, "/kkiai/suno/fetch", "key", map[string]any{}, 400},
		"no such path":      {http.MethodGet, "/kkiai/suno/feed/x", "key", nil, 404},
	} {
		if got := r.do(c.method, c.path, c.key, c.body); got.status != c.status {
			t.Errorf("%s: status %d, want %d: %s", name, got.status, c.status, got.body)
		}
	}
	if v := r.sim.Verdict(); v.Unauthenticated != 1 || v.WrongKey != 1 || v.BadRequests != 7 || v.UnknownPaths != 1 {
		t.Errorf("%d without key, %d with a wrong one, %d bad, %d astray; want 1, 1, 7, 1", v.Unauthenticated, v.WrongKey, v.BadRequests, v.UnknownPaths)
	}
}

// TestKkiaiChoicesVaryBySeed shows that every open question gets every answer.
func TestKkiaiChoicesVaryBySeed(t *testing.T) {
	seen := map[string]bool{}
	for seed := int64(1); seed <= 40; seed++ {
		sim, err := simulator.New(simulator.Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		w := direct(sim, http.MethodGet, "/_sim/state", "")
		_, choices, _ := strings.Cut(w.Body.String(), `"kkiai":{`)
		for word := range strings.SplitSeq(strings.Trim(choices, "}"), ",") {
			seen[word] = true
		}
		refusal := direct(sim, http.MethodGet, kkiaiUploads+"/x", "").Body.String()
		form, _, _ := strings.Cut(refusal, ":")
		seen[form] = true
		if err := sim.Script(simulator.Next{Endpoint: "kkiai.submit", Kind: simulator.NoCredits, Count: 1}); err != nil {
			t.Fatal(err)
		}
		seen[http.StatusText(direct(sim, http.MethodPost, kkiaiSubmits, "{}").Code)] = true
		if err := sim.Close(); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]bool{
		`"ticket":"put"`: true, `"ticket":"post"`: true, `"done":"complete"`: true, `"done":"completed"`: true,
		`"repeat":"same"`: true, `"repeat":"refused"`: true, `"mistakes":"early"`: true, `"mistakes":"late"`: true,
		`"position":"whole"`: true, `"position":"fraction"`: true, `"taskId":false`: true, `"ticketLife":900000000000`: true,
		`{"code"`: true, `{"detail"`: true, "Payment Required": true, "Forbidden": true,
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("choices over forty seeds (-want +got):\n%s", diff)
	}
}
