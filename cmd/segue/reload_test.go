package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/bandwidth"
	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/provider/all"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/session"
)

// live is a running process's configuration, and its log.
type live struct {
	*system
	file string
	said bytes.Buffer
}

func newLive(t *testing.T, text string) *live {
	t.Helper()
	rdb, _ := redistest.Mini(t)
	l := &live{file: filepath.Join(t.TempDir(), "segue.yaml")}
	l.write(t, text)
	a := &app{providers: all.Providers()}
	cfg, err := config.Load(config.Options{File: l.file, Home: t.TempDir(), Drivers: a.drivers()})
	must(t, err)
	l.system = &system{
		app: a, cfg: cfg, log: slog.New(slog.NewTextHandler(&l.said, nil)), gate: account.NewGate(rdb), calls: &http.Client{},
		archives: map[string]archive.Archive{}, upload: bandwidth.New(0), fetch: bandwidth.New(0),
	}
	l.accounts = account.NewPool(l.openAccount)
	_, stop := l.follow(t.Context())
	t.Cleanup(stop)
	return l
}

func (l *live) write(t *testing.T, text string) {
	t.Helper()
	must(t, os.WriteFile(l.file, []byte(text), 0o600))
}

// says holds the log to what it should say of one reading, or to silence.
func (l *live) says(t *testing.T, lines int, parts ...string) {
	t.Helper()
	if got := strings.Count(l.said.String(), "\n"); got != lines {
		t.Errorf("%d lines in the log, want %d:\n%s", got, lines, &l.said)
	}
	for _, part := range parts {
		if !strings.Contains(l.said.String(), part) {
			t.Errorf("the log says nothing of %q:\n%s", part, &l.said)
		}
	}
	l.said.Reset()
}

const oneAccount = "redis: {url: 'redis://127.0.0.1:1/0'}\nproviders: {studio: {driver: kie, accounts: {main: {api_key: first}}}}\n"

// What a process follows takes effect without a restart; what is wrong changes nothing
// and is said once.
func TestTheConfigurationIsReadAgain(t *testing.T) {
	l := newLive(t, oneAccount)
	before, err := l.accounts.Get("studio", "main")
	must(t, err)
	l.archives["x"] = nil
	l.refresh(t.Context(), false)
	l.says(t, 0)

	l.write(t, strings.Replace(oneAccount, "first", "second", 1)+"worker: {bandwidth: {upload: 20MB/s, fetch: 500KiB/s}}\n")
	l.refresh(t.Context(), false)
	l.says(t, 1, "configuration read again", "providers.studio.accounts.main.api_key, worker.bandwidth.fetch, worker.bandwidth.upload")
	if up, down := l.upload.Rate(), l.fetch.Rate(); up != 20_000_000 || down != 512_000 || len(l.archives) != 0 {
		t.Errorf("rates %d and %d, %d archives kept; want 20000000, 512000 and none", up, down, len(l.archives))
	}
	after, err := l.accounts.Get("studio", "main")
	if must(t, err); after == before {
		t.Error("the account is still the one with the old key")
	}

	l.write(t, "providers: {studio: {drivr: kie}}\nworker: {drain: 3}\n")
	l.refresh(t.Context(), false)
	l.says(t, 1, "level=ERROR", "configuration refused", "drivr: there is no such key; did you mean driver?; ", "3 is no duration without a unit")
	l.refresh(t.Context(), false)
	l.says(t, 0)
	l.refresh(t.Context(), true) // somebody asks, and is answered
	l.says(t, 1, "configuration refused")
	if got := l.config().Worker.Bandwidth.Upload.String(); got != "20MB/s" {
		t.Errorf("worker.bandwidth.upload is %s, want that of the last good file, 20MB/s", got)
	}

	l.write(t, strings.Replace(oneAccount, ":1/0", ":2/0", 1))
	l.refresh(t.Context(), false)
	l.says(t, 2, "configuration read again", "the configuration has changes that take a restart", "keys=redis.url")
	l.write(t, strings.Replace(oneAccount, ":1/0", ":2/0", 1)+"security: {allow_private_hosts: [minio]}\n")
	l.refresh(t.Context(), false)
	l.says(t, 1, "changed=security.allow_private_hosts")
}

// An account that was configured a moment ago is found by whoever asks for it first.
func TestAnAccountThatIsNewIsFound(t *testing.T) {
	l := newLive(t, oneAccount)
	if _, err := l.accounts.Get("studio", "second"); err == nil {
		t.Fatal("an account was found that nobody configured")
	}
	l.says(t, 0)
	l.write(t, strings.Replace(oneAccount, "main: {api_key: first}", "main: {api_key: first}, second: {api_key: other}", 1))
	if acc, err := l.accounts.Get("studio", "second"); err != nil || acc.Name != "second" {
		t.Errorf("Get() = %+v, %v; want the new account", acc, err)
	}
	l.says(t, 1, "configuration read again", "providers.studio.accounts.second.api_key")
}

// A file goes to its provider no faster than uploads may. Time is virtual.
func TestSourcesAreReadAtTheUploadRate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.wav")
	must(t, os.WriteFile(path, make([]byte, 640<<10), 0o600))
	synctest.Test(t, func(t *testing.T) {
		s, start := &system{upload: bandwidth.New(64 << 10)}, time.Now()
		source, err := s.openSource(t.Context(), session.Source{Name: "a.wav", Path: path, Size: 640 << 10})
		must(t, err)
		n, err := io.Copy(io.Discard, source)
		must(t, err)
		must(t, source.Close())
		if took := time.Since(start); n != 640<<10 || took != 9750*time.Millisecond {
			t.Errorf("%d bytes in %s, want %d in 9.75s", n, took, 640<<10)
		}
	})
}
