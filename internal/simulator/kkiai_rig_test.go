package simulator_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/simulator"
)

const (
	kkiaiUploads = "/kkiai/suno/uploads/audio"
	kkiaiSubmits = "/kkiai/suno/submit/music"
	kkiaiFetches = "/kkiai/suno/fetch/"
)

// kkiaiRig is a rig whose choices do not depend on the seed.
func kkiaiRig(t *testing.T, change func(*simulator.Options)) *rig {
	t.Helper()
	return newRig(t, func(o *simulator.Options) {
		o.Kkiai = simulator.Kkiai{Ticket: "put", Done: "completed", Repeat: "same", Mistakes: "early", Position: "whole"}
		if change != nil {
			change(o)
		}
	})
}

// ticket is an upload authorization of either form.
type ticket struct {
	id     string
	url    string
	fields map[string]string // nil for a PUT
}

func (r *rig) authorize(extension string) ticket {
	r.t.Helper()
	got := r.do(http.MethodPost, kkiaiUploads, "key", map[string]any{"extension": extension})
	out := r.object(got)
	if id := textAt(out, "upload_id"); id != "" {
		return ticket{id: id, url: textAt(out, "upload_url")}
	}
	t := ticket{id: textAt(out, "id"), url: textAt(out, "url"), fields: map[string]string{}}
	fields, _ := out["fields"].(map[string]any)
	for name := range fields {
		t.fields[name] = textAt(fields, name)
	}
	if got.status != 200 || t.id == "" || len(fields) == 0 {
		r.t.Fatalf("authorization: status %d, body %s; want 200 and a ticket", got.status, got.body)
	}
	return t
}

// request turns a ticket and a file into the transfer that it asks for.
func (k ticket) request(t *testing.T, file []byte) *http.Request {
	t.Helper()
	method, body, media := http.MethodPut, io.Reader(bytes.NewReader(file)), ""
	if k.fields != nil {
		method = http.MethodPost
		body, media = form(t, k.fields, file)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, k.url, body)
	if err != nil {
		t.Fatal(err)
	}
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	return req
}

// form writes the fields in order of their names, and the file last.
func form(t *testing.T, fields map[string]string, file []byte) (body io.Reader, media string) {
	t.Helper()
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	var names []string
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := w.WriteField(name, fields[name]); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", "song.wav")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write(file); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &out, w.FormDataContentType()
}

// send gives what a transfer was answered.
func (r *rig) send(req *http.Request) reply {
	r.t.Helper()
	res, err := r.client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, body, err}
}

func (r *rig) transfer(k ticket, file []byte) reply {
	r.t.Helper()
	return r.send(k.request(r.t, file))
}

func (r *rig) finishUpload(id string) reply {
	r.t.Helper()
	return r.do(http.MethodPost, kkiaiUploads+"/"+id+"/upload-finish", "key",
		map[string]any{"upload_type": "file_upload", "upload_filename": "my_audio.mp3"})
}

func (r *rig) uploadStatus(id string) map[string]any {
	r.t.Helper()
	return r.object(r.do(http.MethodGet, kkiaiUploads+"/"+id, "key", nil))
}

func (r *rig) initialize(id string) reply {
	r.t.Helper()
	return r.do(http.MethodPost, kkiaiUploads+"/"+id+"/initialize-clip", "key", map[string]any{})
}

// report uploads a file up to and with upload-finish.
func (r *rig) report(file []byte) string {
	r.t.Helper()
	k := r.authorize("wav")
	if got := r.transfer(k, file); got.status/100 != 2 {
		r.t.Fatalf("transfer: status %d, %s (%v), want 2xx", got.status, got.body, got.err)
	}
	if got := r.finishUpload(k.id); got.status != 200 || string(got.body) != "{}" {
		r.t.Fatalf("upload-finish: status %d, %s; want 200 and {}", got.status, got.body)
	}
	return k.id
}

// uploadedClip goes through the first five steps.
func (r *rig) uploadedClip(file []byte) string {
	r.t.Helper()
	id := r.report(file)
	r.settle(10 * time.Second)
	got := r.initialize(id)
	clip := textAt(r.object(got), "clip_id")
	if got.status != 200 || clip == "" {
		r.t.Fatalf("initialize-clip: status %d, %s; want 200 and a clip", got.status, got.body)
	}
	return clip
}

// continuation is a body for step six, with changes; a nil value removes a field.
func continuation(clip string, changes map[string]any) map[string]any {
	body := map[string]any{
		"prompt": "[Verse]\nHello", "tags": "indie pop", "negative_tags": "", "mv": "chirp-v4", "title": "Song",
		"continue_clip_id": clip, "continue_at": 10, "task": "upload_extend",
	}
	for name, v := range changes {
		body[name] = v
		if v == nil {
			delete(body, name)
		}
	}
	return body
}

func (r *rig) submit(clip string, changes map[string]any) string {
	r.t.Helper()
	got := r.do(http.MethodPost, kkiaiSubmits, "key", continuation(clip, changes))
	out := r.object(got)
	if got.status != 200 || out["code"] != "success" || textAt(out, "data") == "" {
		r.t.Fatalf("submit: status %d, %s; want success and a task", got.status, got.body)
	}
	return textAt(out, "data")
}

// fetchTask gives the data of a fetch.
func (r *rig) fetchTask(id string) map[string]any {
	r.t.Helper()
	out := r.object(r.do(http.MethodGet, kkiaiFetches+id, "key", nil))
	data, is := out["data"].(map[string]any)
	if out["code"] != "success" || !is {
		r.t.Fatalf("fetch answered %v, want success and a structure", out)
	}
	return data
}

// code gives the error code of a gateway's answer, or of an XML one.
func code(got reply) string {
	for _, mark := range [][2]string{{`"code":"`, `"`}, {"<Code>", "<"}} {
		if _, after, found := strings.Cut(string(got.body), mark[0]); found {
			word, _, _ := strings.Cut(after, mark[1])
			return word
		}
	}
	return ""
}

// httpRequest writes a request by hand, so that its body can be too short.
func httpRequest(req *http.Request, body []byte, length int64) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		req.Method, req.URL.RequestURI(), req.URL.Host, req.Header.Get("Content-Type"), length, body)
}

// rawExchange sends text, says that this is all, and gives the answer.
func rawExchange(t *testing.T, address, text string) string {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	if tcp, is := conn.(*net.TCPConn); is {
		if err := tcp.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}
