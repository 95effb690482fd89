package kkiai_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

const key = "kk-4f3e2d1c0b9a8877"

// signature is what the fake signs its tickets with.
const signature = "dGlja2V0LXNpZ25hdHVyZQ"

// fake is the smallest kkiai that goes through all six steps, with the storage
// service under /storage/.
type fake struct {
	tb   testing.TB
	base string
	form bool // tickets are forms, not addresses for PUT

	mu      sync.Mutex
	uploads []*fakeUpload
	tasks   []bool // whether each task has ended
	bodies  []string
}

type fakeUpload struct {
	sound    string
	reported bool
	ended    bool
}

func newFake(tb testing.TB, form bool) *fake {
	tb.Helper()
	return &fake{tb: tb, form: form}
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // cut off on its way here
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	storage := strings.HasPrefix(r.URL.Path, "/storage/")
	if got := r.Header.Get("Authorization"); storage != (got == "") || !storage && got != "Bearer "+key {
		refuse(w, http.StatusUnauthorized, "unauthorized")
		return
	}
	if storage {
		f.store(w, r, string(body))
		return
	}
	var parts [4]string
	copy(parts[:], strings.Split(strings.TrimPrefix(r.URL.Path, "/suno/"), "/"))
	switch r.Method + " " + parts[0] + " " + parts[3] {
	case "POST uploads ":
		f.authorize(w)
	case "POST uploads upload-finish", "GET uploads ", "POST uploads initialize-clip":
		f.upload(w, r.Method, parts[2], parts[3])
	case "POST submit ":
		f.bodies = append(f.bodies, string(body))
		f.tasks = append(f.tasks, false)
		say(w, `{"code":"success","message":"","data":"task-%d"}`, len(f.tasks)-1)
	case "GET fetch ":
		f.fetch(w, parts[1])
	default:
		refuse(w, http.StatusNotFound, "")
	}
}

func (f *fake) authorize(w http.ResponseWriter) {
	f.uploads = append(f.uploads, &fakeUpload{})
	n := len(f.uploads) - 1
	if f.form {
		say(w, `{"id":"up-%d","url":"%s/storage/","fields":{"Content-Type":"audio/mpeg","key":"raw_uploads/up-%d.mp3","AWSAccessKeyId":"AKIA","policy":"e30=","signature":"%s"},"is_file_uploaded":false}`, n, f.base, n, signature)
		return
	}
	say(w, `{"upload_id":"up-%d","upload_url":"%s/storage/raw_uploads/up-%d.mp3?X-Amz-Signature=%s"}`, n, f.base, n, signature)
}

// store takes the file as either ticket has it.
func (f *fake) store(w http.ResponseWriter, r *http.Request, sound string) {
	name := r.URL.Path
	signed := r.URL.Query().Get("X-Amz-Signature")
	if f.form {
		r.Body = io.NopCloser(strings.NewReader(sound))
		form, err := r.MultipartReader()
		if err != nil {
			f.tb.Errorf("a ticket that is a form, answered with %s: %v", r.Header.Get("Content-Type"), err)
			return
		}
		for part, err := form.NextPart(); err == nil; part, err = form.NextPart() {
			value, _ := io.ReadAll(part)
			switch part.FormName() {
			case "key":
				name = string(value)
			case "signature":
				signed = string(value)
			case "file":
				sound = string(value)
			}
		}
	}
	upload := f.find(name[strings.LastIndex(name, "/")+1:])
	if upload == nil || signed != signature || r.ContentLength < 0 {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	upload.sound = sound
	w.WriteHeader(http.StatusNoContent)
}

// find reads "up-7" and "up-7.mp3".
func (f *fake) find(name string) *fakeUpload {
	n := -1
	if _, err := fmt.Sscanf(name, "up-%d", &n); err != nil || n < 0 || n >= len(f.uploads) {
		return nil
	}
	return f.uploads[n]
}

// upload is the steps about one upload; a report that comes twice ends it badly,
// since nobody knows better.
func (f *fake) upload(w http.ResponseWriter, method, id, step string) {
	u := f.find(id)
	switch {
	case u == nil:
		refuse(w, http.StatusNotFound, "task_not_exist")
	case step == "upload-finish" && (u.sound == "" || u.reported):
		f.tb.Errorf("upload-finish of %+v, want it once and after the file", u)
		refuse(w, http.StatusBadRequest, "invalid_request")
	case step == "upload-finish":
		u.reported = true
		say(w, `{}`)
	case method == http.MethodGet && u.ended && u.sound == "broken":
		say(w, `{"id":"%s","status":"error","error_message":"Uploaded audio matches existing work of art, says %s","s3_id":null}`, id, key)
	case method == http.MethodGet && u.ended:
		say(w, `{"id":"%s","status":"complete","error_message":null,"s3_id":"m_1","title":"","image_url":null}`, id)
	case method == http.MethodGet:
		say(w, `{"id":"%s","status":"processing","error_message":null,"s3_id":null}`, id)
	case u.ended:
		say(w, `{"clip_id":"clip-of-%s"}`, id)
	default:
		f.tb.Error("initialize-clip of an upload that is not processed")
		refuse(w, http.StatusBadRequest, "")
	}
}

func (f *fake) fetch(w http.ResponseWriter, id string) {
	n := -1
	if _, err := fmt.Sscanf(id, "task-%d", &n); err != nil || n < 0 || n >= len(f.tasks) {
		refuse(w, http.StatusBadRequest, "task_not_exist")
		return
	}
	if !f.tasks[n] {
		say(w, `{"code":"success","message":"","data":{"task_id":"%s","action":"MUSIC","status":"IN_PROGRESS","fail_reason":"","progress":"0%%","data":null}}`, id)
		return
	}
	say(w, `{"code":"success","message":"","data":{"task_id":"%[1]s","action":"MUSIC","status":"SUCCESS","fail_reason":"","progress":"100%%","data":[`+
		`{"id":"a-%[1]s","status":"complete","audio_url":"https://cdn.example/a-%[1]s.mp3"},{"id":"b-%[1]s","status":"complete","audio_url":"https://cdn.example/b-%[1]s.mp3"}]}}`, id)
}

// settle ends everything that was begun.
func (f *fake) settle() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, u := range f.uploads {
		u.ended = u.reported
	}
	for n := range f.tasks {
		f.tasks[n] = true
	}
}

func (f *fake) charges() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.tasks)
}

func say(w http.ResponseWriter, format string, args ...any) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, format, args...)
}

// refuse is an error as the gateway software writes it.
func refuse(w http.ResponseWriter, status int, code string) {
	text, err := json.Marshal(map[string]any{"code": code, "message": "no", "data": nil})
	if err != nil {
		panic(err)
	}
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
