//go:build unix

package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/e2e/proctest"
	"github.com/segue-audio/segue/internal/redistest"
)

// drain is what the tests configure as worker.drain.
const drain = 20 * time.Second

// system is one installation of Segue in a folder of its own.
type system struct {
	t        testing.TB
	dir      string
	binary   string
	provider *provider
	// rdb is nil for an installation on the embedded Redis.
	rdb   redis.UniversalClient
	serve *process
	url   string
}

// onRedis is an installation on a redis-server: a provider and the way to it, segue
// serve, and as yet no worker.
func onRedis(t testing.TB, way func(testing.TB, *provider) string) *system {
	t.Helper()
	url, rdb := redistest.Server(t)
	s := &system{t: t, dir: t.TempDir(), binary: program(t), rdb: rdb}
	s.provider = proctest.StartProvider(t, s.binary, *seed)
	s.configure(url, way(t, s.provider))
	s.serve = s.start("serve", "serve", "--server-addr", "127.0.0.1:0")
	s.url = s.serve.Says(s.serve.Stderr, `serving on (http://\S+)`)[1]
	return s
}

// onEmbedded is an installation on the Redis that segue run brings along.
func onEmbedded(t testing.TB, binary string, way func(testing.TB, *provider) string, simulator ...string) *system {
	t.Helper()
	s := &system{t: t, dir: t.TempDir(), binary: binary}
	s.provider = proctest.StartProvider(t, binary, *seed, simulator...)
	s.configure("", way(t, s.provider))
	return s
}

// configure writes the configuration file that every process shares.
func (s *system) configure(redisURL, providerURL string) {
	s.t.Helper()
	text := fmt.Sprintf(`redis: {url: %q}
state_dir: state
providers:
  mountsea:
    driver: mountsea
    base_url: %[2]s/mountsea
    credits_url: %[2]s/mountsea-credits
    accounts: {main: {api_key: %[3]s}}
    poll: {min: 200ms, max: 2s}
    evidence: {horizon: 1s}
worker: {drain: %[4]s}
archive: {url: archive}
security: {allow_private_hosts: [%[5]q]}
`, redisURL, providerURL, proctest.APIKey, drain, s.provider.Host)
	if err := os.WriteFile(filepath.Join(s.dir, "segue.yaml"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// launch describes a process of the installation.
func (s *system) launch(name string, args ...string) launch {
	return launch{Name: name, Binary: s.binary, Dir: s.dir, Env: proctest.Environment(s.dir), Args: args}
}

func (s *system) start(name string, args ...string) *process {
	s.t.Helper()
	return proctest.Start(s.t, s.launch(name, args...))
}

// worker starts a worker and waits until it takes tasks.
func (s *system) worker(name string) *process {
	s.t.Helper()
	w := s.start(name, "worker", "--server-public-url", s.url)
	w.Says(w.Stderr, `worker started`)
	return w
}

// output is what a finished command said.
type output struct {
	stdout, stderr string
	code           int
	// peak is the most memory that it had, in bytes.
	peak int64
}

// run runs a command to its end.
func (s *system) run(atMost time.Duration, args ...string) output {
	s.t.Helper()
	p := s.start("segue "+args[0], args...)
	code := p.Wait(atMost)
	return output{p.Stdout.String(), p.Stderr.String(), code, p.Peak()}
}

// submit enqueues songs to be uploaded and extended, and gives the session's id.
func (s *system) submit(songs []song) string {
	s.t.Helper()
	args := append([]string{"submit", "--provider", "mountsea", "--extend", "--continue-at", "-1"}, proctest.Paths(songs)...)
	out := s.run(time.Minute, args...)
	id := strings.TrimSuffix(out.stdout, "\n")
	if out.code != 0 || !strings.HasPrefix(id, "ses_") || strings.ContainsAny(id, " \n") {
		s.t.Fatalf("submit: exit code %d, stdout %q; want 0 and a session id alone\n%s", out.code, out.stdout, out.stderr)
	}
	return id
}

// watch stays until the session is over or only held items are left. Its exit code
// is that of segue run.
func (s *system) watch(id string) (*status, int) {
	s.t.Helper()
	out := s.run(4*time.Minute, "status", "--watch", "--json", "--timeout", "3m", id)
	if out.code != 0 && out.code != 8 {
		s.t.Fatalf("status --watch: exit code %d, want 0 or 8 (held)\n%s\n%s", out.code, proctest.Tail(out.stdout, 60), out.stderr)
	}
	return proctest.Decode(s.t, out.stdout), out.code
}

// paidEndpoints are those of MountSea that cost credits, by the step that calls them.
var paidEndpoints = map[string]string{"upload": "mountsea.item", "extend": "mountsea.generate"}

// resolve decides about held items as an operator does: by what the provider's own
// list of charges says became of each request.
func (s *system) resolve(held []item) {
	s.t.Helper()
	book := s.provider.Book()
	for _, it := range held {
		charges := book[job{SHA256: it.SHA256, Endpoint: paidEndpoints[it.Step]}]
		decision := []string{"resolve", it.ItemID, "--resubmit"}
		if len(charges) > 0 {
			decision = []string{"resolve", it.ItemID, "--operation", charges[len(charges)-1].OperationID}
		}
		s.t.Logf("segue %s  (%s)", strings.Join(decision, " "), it.Error.Reason)
		if out := s.run(time.Minute, decision...); out.code != 0 {
			s.t.Fatalf("segue %s: exit code %d\n%s", strings.Join(decision, " "), out.code, out.stderr)
		}
	}
}

// field reads a field of the session's own record.
func field(t testing.TB, rdb redis.UniversalClient, id, name string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	value, err := rdb.HGet(ctx, "segue:{"+id+"}", name).Result()
	if err != nil {
		t.Fatalf("HGET segue:{%s} %s: %v", id, name, err)
	}
	return value
}
