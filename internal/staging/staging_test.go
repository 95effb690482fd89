package staging_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/staging"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const song = "0123456789 the bytes of a song"

// shared is a log that several goroutines write and the test reads.
type shared struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (s *shared) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buffer.Write(b)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buffer.String()
}

// stage is a server process with staged files, and its log.
type stage struct {
	*staging.Staging
	server *httptest.Server
	log    *shared
}

func start(t *testing.T, rdb redis.UniversalClient) *stage {
	t.Helper()
	s := &stage{log: &shared{}}
	mux := http.NewServeMux()
	mux.HandleFunc(staging.Prefix, func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(w, r) })
	s.server = httptest.NewServer(mux)
	t.Cleanup(s.server.Close)
	var err error
	s.Staging, err = staging.New(rdb, s.server.URL+"/", time.Hour, slog.New(slog.NewTextHandler(s.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mini(t *testing.T) (*miniredis.Miniredis, redis.UniversalClient) {
	t.Helper()
	m := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	return m, rdb
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *stage) stage(t *testing.T, f staging.File) string {
	t.Helper()
	staged, err := s.URL(t.Context(), f)
	if err != nil {
		t.Fatalf("URL(%+v): %v", f, err)
	}
	return staged
}

// answer is what came back, as far as a client of a provider would look.
type answer struct {
	Status                    int
	Type, Length, Range, ETag string
	Body                      string
}

func request(t *testing.T, method, target string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	h := response.Header
	return answer{response.StatusCode, h.Get("Content-Type"), h.Get("Content-Length"), h.Get("Content-Range"), h.Get("ETag"), string(body)}
}

func TestServed(t *testing.T) {
	_, rdb := mini(t)
	s := start(t, rdb)
	staged := s.stage(t, staging.File{Path: write(t, "Morning Tape.mp3", song), SHA256: "abc"})
	if !regexp.MustCompile(`^` + regexp.QuoteMeta(s.server.URL) + `/staged/[A-Za-z0-9_-]{43}/Morning-Tape\.mp3$`).MatchString(staged) {
		t.Errorf("URL %s, want <public url>/staged/<43 characters>/Morning-Tape.mp3", staged)
	}
	const audio, tag = "audio/mpeg", `"abc"`
	cases := []struct {
		name, method string
		headers      []string
		want         answer
	}{
		{"all", http.MethodGet, nil, answer{200, audio, "30", "", tag, song}},
		{"head", http.MethodHead, nil, answer{200, audio, "30", "", tag, ""}},
		{"rest", http.MethodGet, []string{"Range: bytes=11-"}, answer{206, audio, "19", "bytes 11-29/30", tag, "the bytes of a song"}},
		{"middle", http.MethodGet, []string{"Range: bytes=1-3"}, answer{206, audio, "3", "bytes 1-3/30", tag, "123"}},
		{"end", http.MethodGet, []string{"Range: bytes=-4"}, answer{206, audio, "4", "bytes 26-29/30", tag, "song"}},
		{"same", http.MethodGet, []string{"Range: bytes=28-", `If-Range: "abc"`}, answer{206, audio, "2", "bytes 28-29/30", tag, "ng"}},
		{"changed", http.MethodGet, []string{"Range: bytes=28-", `If-Range: "old"`}, answer{200, audio, "30", "", tag, song}},
		{"known", http.MethodGet, []string{`If-None-Match: "abc"`}, answer{304, "", "", "", tag, ""}},
	}
	for _, c := range cases {
		if diff := cmp.Diff(c.want, request(t, c.method, staged, c.headers...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	if got := request(t, http.MethodGet, staged, "Range: bytes=99-"); got.Status != 416 {
		t.Errorf("past the end: %d, want 416", got.Status)
	}
	if got := request(t, http.MethodPost, staged); got.Status != 405 {
		t.Errorf("POST: %d, want 405", got.Status)
	}
}

func TestNamesAndTypes(t *testing.T) {
	_, rdb := mini(t)
	s := start(t, rdb)
	path := write(t, "plain.wav", song)
	cases := []struct{ name, want, contentType string }{
		{"", "plain.wav", "audio/wav"},
		{"a.MP3", "a.mp3", "audio/mpeg"},
		{"b.flac", "b.flac", "audio/flac"},
		{"c.ogg", "c.ogg", "audio/ogg"},
		{"d.opus", "d.opus", "audio/ogg"},
		{"e.m4a", "e.m4a", "audio/mp4"},
		{"f.aac", "f.aac", "audio/aac"},
		{"g.aiff", "g.aiff", "audio/aiff"},
		{"h.html", "h.html", "application/octet-stream"},
		{"no extension", "no-extension", "application/octet-stream"},
		{"../../etc/passwd", "etc-passwd", "application/octet-stream"},
		{"Für Elise / 月光.mp3", "F-r-Elise.mp3", "audio/mpeg"},
		{"月光.mp3", "audio.mp3", "audio/mpeg"},
		{"a\r\nSet-Cookie: b.mp3", "a-Set-Cookie-b.mp3", "audio/mpeg"},
		{strings.Repeat("x", 300) + ".mp3", strings.Repeat("x", 80) + ".mp3", "audio/mpeg"},
	}
	for _, c := range cases {
		staged := s.stage(t, staging.File{Path: path, Name: c.name})
		if got := staged[strings.LastIndex(staged, "/")+1:]; got != c.want {
			t.Errorf("name %q became %q, want %q", c.name, got, c.want)
		}
		if got := request(t, http.MethodGet, staged); got.Status != 200 || got.Type != c.contentType || got.Body != song {
			t.Errorf("%q: %+v, want 200 and %s", c.name, got, c.contentType)
		}
	}
}

func TestNothingElseIsServed(t *testing.T) {
	_, rdb := mini(t)
	s := start(t, rdb)
	path := write(t, "a.mp3", song)
	staged := s.stage(t, staging.File{Path: path})
	base, name, token := strings.TrimSuffix(staged, "/a.mp3"), "/a.mp3", tokenOf(s, staged)
	if err := rdb.Set(t.Context(), "segue:staged:"+token, `{"path":"`+path+`"}`, 0).Err(); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{
		s.server.URL + "/staged/",
		s.server.URL + "/staged/" + name,
		base, base + "/", base + "/b.mp3", base + name + "/", base + name + "/..%2fb", base + "/..%2f..%2f..%2fetc%2fpasswd",
		s.server.URL + "/staged/" + strings.Repeat("A", 43) + name,
		s.server.URL + "/staged/" + strings.ToLower(token) + "x" + name,
		s.server.URL + "/staged/" + token[:42] + name,
		s.server.URL + "/staged/" + token + "AAAA" + name,
		s.server.URL + "/staged/*" + name,
	} {
		if got := request(t, http.MethodGet, target); got.Status != 404 || strings.Contains(got.Body, song) {
			t.Errorf("%s: %+v, want 404", target, got)
		}
	}
	if got := request(t, http.MethodGet, staged); got.Status != 200 {
		t.Errorf("the staged URL itself: %+v, want 200", got)
	}
	prefixed := httptest.NewServer(s)
	t.Cleanup(prefixed.Close)
	if got := request(t, http.MethodGet, prefixed.URL+"/segue/staged/"+token+name); got.Body != song {
		t.Errorf("behind a proxy's prefix: %+v, want the song", got)
	}
}

func TestExpired(t *testing.T) {
	m, rdb := mini(t)
	s := start(t, rdb)
	staged := s.stage(t, staging.File{Path: write(t, "a.mp3", song)})
	m.FastForward(time.Hour - time.Second)
	if got := request(t, http.MethodGet, staged); got.Status != 200 {
		t.Errorf("a second before: %d, want 200", got.Status)
	}
	m.FastForward(time.Second)
	if got := request(t, http.MethodGet, staged); got.Status != 404 {
		t.Errorf("an hour later: %d, want 404", got.Status)
	}
	if keys := m.Keys(); len(keys) > 0 {
		t.Errorf("Redis still holds %q", keys)
	}
}

func TestChangedAfterStaging(t *testing.T) {
	_, rdb := mini(t)
	for _, c := range []struct {
		name   string
		change func(path string) error
		want   int
	}{
		{"longer", func(path string) error { return os.WriteFile(path, []byte(song+"!"), 0o600) }, 410},
		{"touched", func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1, 1)) }, 410},
		{"removed", os.Remove, 404},
		{"a directory now", func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) }, 404},
	} {
		s := start(t, rdb)
		path := write(t, "a.mp3", song)
		staged := s.stage(t, staging.File{Path: path})
		if err := c.change(path); err != nil {
			t.Fatal(err)
		}
		got := request(t, http.MethodGet, staged)
		if got.Status != c.want || strings.Contains(got.Body, path) {
			t.Errorf("%s: %+v, want %d without the path", c.name, got, c.want)
		}
		s.server.Close() // its log is complete then
		if !strings.Contains(s.log.String(), "level=WARN") || !strings.Contains(s.log.String(), path) {
			t.Errorf("%s: log %q, want a warning that names the file", c.name, s.log)
		}
	}
}

func TestWhatCannotBeStaged(t *testing.T) {
	_, rdb := mini(t)
	s := start(t, rdb)
	path := write(t, "a.mp3", song)
	modified := time.Date(2026, 11, 22, 10, 0, 0, 123456789, time.UTC)
	if err := os.Chtimes(path, time.Time{}, modified); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name string
		file staging.File
		want fault.Code
	}{
		{"as examined", staging.File{Path: path, Size: 30, ModTime: modified}, ""},
		{"another size", staging.File{Path: path, Size: 31, ModTime: modified}, "conflict"},
		{"another time", staging.File{Path: path, Size: 30, ModTime: modified.Add(1)}, "conflict"},
		{"relative", staging.File{Path: "a.mp3"}, "invalid"},
		{"empty", staging.File{}, "invalid"},
		{"directory", staging.File{Path: filepath.Dir(path)}, "invalid"},
		{"device", staging.File{Path: os.DevNull}, "invalid"},
		{"missing", staging.File{Path: path + "x"}, "not_found"},
	}
	for _, c := range cases {
		if _, err := s.URL(t.Context(), c.file); fault.CodeOf(err) != c.want {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	_, rdb := mini(t)
	for _, c := range []struct {
		url      string
		lifetime time.Duration
	}{
		{"", time.Hour},
		{"segue.example.com", time.Hour},
		{"ftp://segue.example.com", time.Hour},
		{"https://user:password@segue.example.com", time.Hour},
		{"https://segue.example.com?a=b", time.Hour},
		{"https://segue.example.com", 0},
	} {
		_, err := staging.New(rdb, c.url, c.lifetime, nil)
		if fault.CodeOf(err) != fault.Invalid || strings.Contains(err.Error(), "password") {
			t.Errorf("New(%q, %v): %v, want invalid", c.url, c.lifetime, err)
		}
	}
}

// A server's write timeout is for small answers. This one has passed before
// anything can be written, unless it is extended.
func TestWriteTimeoutIsExtended(t *testing.T) {
	_, rdb := mini(t)
	s := start(t, rdb)
	staged := s.stage(t, staging.File{Path: write(t, "a.mp3", song)})
	hasty := httptest.NewUnstartedServer(s)
	hasty.Config.WriteTimeout = time.Nanosecond
	hasty.Start()
	t.Cleanup(hasty.Close)
	if got := request(t, http.MethodGet, strings.Replace(staged, s.server.URL, hasty.URL, 1)); got.Body != song {
		t.Errorf("%+v, want the song", got)
	}
}

func tokenOf(s *stage, staged string) string {
	token, _, _ := strings.Cut(strings.TrimPrefix(staged, s.server.URL+"/staged/"), "/")
	return token
}

// What opens a file is in the URL alone.
func TestTokenIsNowhereElse(t *testing.T) {
	m, rdb := mini(t)
	s := start(t, rdb)
	path := write(t, "a.mp3", song)
	staged := s.stage(t, staging.File{Path: path})
	if again := s.stage(t, staging.File{Path: path}); again == staged {
		t.Errorf("two URLs are equal: %s", staged)
	}
	token := tokenOf(s, staged)
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodDelete} {
		request(t, method, staged)
	}
	request(t, http.MethodGet, s.server.URL+"/staged/"+token+"/other")
	s.server.Close()
	if strings.Contains(m.Dump(), token) {
		t.Errorf("Redis holds the token %s:\n%s", token, m.Dump())
	}
	log := s.log.String()
	if strings.Contains(log, token) || strings.Count(log, "staged file requested") != 4 {
		t.Errorf("log, want four lines without %s:\n%s", token, log)
	}
	if !strings.Contains(log, "method=GET status=200 bytes=30") {
		t.Errorf("log, want the status and the bytes served:\n%s", log)
	}
}

func TestWithoutRedis(t *testing.T) {
	m, rdb := mini(t)
	s := start(t, rdb)
	path := write(t, "a.mp3", song)
	staged := s.stage(t, staging.File{Path: path})
	m.SetError("LOADING Redis is loading the dataset in memory")
	if got := request(t, http.MethodGet, staged); got.Status != 503 {
		t.Errorf("GET: %+v, want 503", got)
	}
	if _, err := s.URL(t.Context(), staging.File{Path: path}); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("URL: %v, want unavailable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.URL(ctx, staging.File{Path: path}); fault.CodeOf(err) != fault.Canceled {
		t.Errorf("URL after cancel: %v, want canceled", err)
	}
}

// Any server with the same Redis serves what any other staged, on a real Redis.
func TestAnotherServerOnRealRedis(t *testing.T) {
	path := write(t, "a.flac", song)
	socket := realRedis(t)
	var staged string
	for n, client := range []*redis.Client{
		redis.NewClient(&redis.Options{Network: "unix", Addr: socket}),
		redis.NewClient(&redis.Options{Network: "unix", Addr: socket}),
	} {
		t.Cleanup(func() { _ = client.Close() })
		s := start(t, client)
		if n == 0 {
			staged = s.stage(t, staging.File{Path: path})
			s.server.Close()
			continue
		}
		parsed, err := url.Parse(staged)
		if err != nil {
			t.Fatal(err)
		}
		if got := request(t, http.MethodGet, s.server.URL+parsed.Path); got.Body != song || got.Type != "audio/flac" {
			t.Errorf("the second server: %+v, want the song", got)
		}
		keys, err := client.Keys(t.Context(), "*").Result()
		if err != nil || len(keys) != 1 || !regexp.MustCompile(`^segue:staged:[0-9a-f]{64}$`).MatchString(keys[0]) {
			t.Fatalf("keys %q, %v; want one segue:staged:<digest>", keys, err)
		}
		if ttl, err := client.TTL(t.Context(), keys[0]).Result(); err != nil || ttl <= 0 || ttl > time.Hour {
			t.Errorf("TTL %v, %v; want up to an hour", ttl, err)
		}
	}
}

// realRedis starts a redis-server of the test's own and gives its socket.
func realRedis(t *testing.T) string {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed")
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "r.sock") // short: a socket's path may have 104 bytes
	server := exec.CommandContext(t.Context(), binary, "--port", "0", "--unixsocket", socket, "--dir", dir, "--save", "", "--appendonly", "no")
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(strings.ToLower(lines.Text()), "ready to accept connections") {
			return socket
		}
	}
	t.Fatal("redis-server did not become ready")
	return ""
}
