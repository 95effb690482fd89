package simulator_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/simulator"
)

// clock is moved by hand: nothing in these tests depends on how fast they run.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(c.offset.Load()))
}

func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// rig is a simulator behind a real server, a client, and a host of sources.
type rig struct {
	t       *testing.T
	sim     *simulator.Simulator
	api     *httptest.Server
	sources *httptest.Server
	clock   *clock
	client  *http.Client
}

func newRig(t *testing.T, change func(*simulator.Options)) *rig {
	t.Helper()
	r := &rig{t: t, clock: &clock{}}
	o := simulator.Options{
		Seed: 7, Now: r.clock.now, FaultDelay: time.Millisecond,
		UploadTime: simulator.Timing{Mean: 10 * time.Second}, ExtendTime: simulator.Timing{Mean: 100 * time.Second},
	}
	if change != nil {
		change(&o)
	}
	sim, err := simulator.New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	r.sim = sim
	r.api = httptest.NewServer(sim.Handler())
	r.sources = httptest.NewServer(http.HandlerFunc(serveSource))
	// Reused connections would let the client retry requests on its own.
	r.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	t.Cleanup(func() {
		r.client.CloseIdleConnections()
		r.api.Close()
		r.sources.Close()
		if err := sim.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return r
}

// serveSource gives /wav/SECONDS/NAME, and what a provider cannot use.
func serveSource(w http.ResponseWriter, r *http.Request) {
	part := strings.Split(r.URL.Path, "/")
	switch part[1] {
	case "wav":
		var seconds int
		_, _ = fmt.Sscan(part[2], &seconds)
		_, _ = w.Write(wav(seconds, part[3]))
	case "cut":
		whole := wav(5, "cut")
		_, _ = w.Write(whole[:len(whole)/2])
	case "broken":
		w.Header().Set("Content-Length", "90000")
		_, _ = w.Write(wav(5, "broken")[:1000])
		panic(http.ErrAbortHandler)
	case "text":
		_, _ = io.WriteString(w, "<html>please log in</html>")
	case "empty":
	default:
		http.NotFound(w, r)
	}
}

// wav makes 8-bit mono sound at 8 kHz whose bytes depend on the name.
func wav(seconds int, name string) []byte {
	samples := 8000 * seconds
	var b bytes.Buffer
	b.WriteString("RIFF")
	_ = binary.Write(&b, binary.LittleEndian, uint32(36+samples))
	b.WriteString("WAVEfmt ")
	for _, v := range []any{uint32(16), uint16(1), uint16(1), uint32(8000), uint32(8000), uint16(1), uint16(8)} {
		_ = binary.Write(&b, binary.LittleEndian, v)
	}
	b.WriteString("data")
	_ = binary.Write(&b, binary.LittleEndian, uint32(samples))
	sound := bytes.Repeat([]byte{128, 160, 180, 160, 128, 96, 76, 96}, samples/8)
	copy(sound, name)
	b.Write(sound)
	return b.Bytes()
}

func (r *rig) source(path string) string { return r.sources.URL + path }

// rawBody is sent as it is, everything else as JSON.
type rawBody string

// reply is what came back; err is a connection that broke.
type reply struct {
	status int
	header http.Header
	body   []byte
	err    error
}

func (r *rig) do(method, path, key string, body any) reply {
	r.t.Helper()
	return r.doContext(r.t.Context(), method, path, key, body)
}

func (r *rig) doContext(ctx context.Context, method, path, key string, body any) reply {
	r.t.Helper()
	var payload io.Reader = http.NoBody
	if raw, is := body.(rawBody); is {
		payload = strings.NewReader(string(raw))
	} else if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			r.t.Fatalf("encode: %v", err)
		}
		payload = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.api.URL+path, payload)
	if err != nil {
		r.t.Fatalf("request: %v", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("X-API-Key", key)
	}
	res, err := r.client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, got, err}
}

// object decodes a JSON object and fails the test when it is none.
func (r *rig) object(got reply) map[string]any {
	r.t.Helper()
	var out map[string]any
	if got.err != nil {
		r.t.Fatalf("no answer: %v", got.err)
	}
	if err := json.Unmarshal(got.body, &out); err != nil {
		r.t.Fatalf("status %d, body %q: %v", got.status, got.body, err)
	}
	return out
}

// at follows keys and indexes into decoded JSON; what is not there is nil.
func at(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, _ := v.(map[string]any)
			v = object[step]
		case int:
			list, _ := v.([]any)
			if step >= len(list) {
				return nil
			}
			v = list[step]
		}
	}
	return v
}

// textAt is at for a string, and listAt for an array; "" and nil otherwise.
func textAt(v any, path ...any) string {
	text, _ := at(v, path...).(string)
	return text
}

func listAt(v any, path ...any) []any {
	list, _ := at(v, path...).([]any)
	return list
}

// must posts and gives one text field of the answer.
func (r *rig) must(path string, body any, field string) string {
	r.t.Helper()
	got := r.do(http.MethodPost, path, "key", body)
	value, ok := r.object(got)[field].(string)
	if !ok || got.status/100 != 2 {
		r.t.Fatalf("POST %s: status %d, body %s; want 2xx with %q", path, got.status, got.body, field)
	}
	return value
}

const (
	sessionPath  = "/mountsea/suno/v2/audio/upload/session"
	itemPath     = "/mountsea/suno/v2/audio/upload/session/item"
	uploadPath   = "/mountsea/suno/v2/upload"
	generatePath = "/mountsea/suno/v2/generate"
	statusPath   = "/mountsea/suno/v2/status?taskId="
	creditsPath  = "/mountsea-credits/api-user/credits"
)

func (r *rig) session() string {
	r.t.Helper()
	return r.must(sessionPath, nil, "sessionId")
}

func (r *rig) item(session, audioURL string) string {
	r.t.Helper()
	return r.must(itemPath, map[string]any{"sessionId": session, "audioUrl": audioURL}, "taskId")
}

func (r *rig) generate(body map[string]any) string {
	r.t.Helper()
	return r.must(generatePath, body, "taskId")
}

func (r *rig) status(id string) map[string]any {
	r.t.Helper()
	return r.object(r.do(http.MethodGet, statusPath+id, "key", nil))
}

// settle waits until every source is downloaded, then lets time pass.
func (r *rig) settle(pass time.Duration) {
	r.t.Helper()
	if err := r.sim.Settle(r.t.Context()); err != nil {
		r.t.Fatalf("Settle: %v", err)
	}
	r.clock.advance(pass)
}

// clip uploads one file and gives its clip id.
func (r *rig) clip(audioURL string) string {
	r.t.Helper()
	task := r.must(uploadPath, map[string]any{"audioUrl": audioURL}, "taskId")
	r.settle(10 * time.Second)
	data, _ := r.status(task)["data"].(map[string]any)
	id, ok := data["id"].(string)
	if !ok {
		r.t.Fatalf("upload %s has no clip: %v", task, data)
	}
	return id
}

func (r *rig) balance(key string) float64 {
	r.t.Helper()
	credits, _ := r.object(r.do(http.MethodGet, creditsPath, key, nil))["credits"].(float64)
	return credits
}

func (r *rig) script(script ...simulator.Next) {
	r.t.Helper()
	if err := r.sim.Script(script...); err != nil {
		r.t.Fatalf("Script: %v", err)
	}
}

func readAll(t *testing.T, res *http.Response) []byte {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return body
}

func newServer(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}
