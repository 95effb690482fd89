//go:build unix

package chaos_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/e2e/proctest"
)

// drain is what the workers are configured with.
const drain = 5 * time.Second

// rig is one installation of Segue: every process of it is its own, and every
// connection between them can be broken.
type rig struct {
	t      testing.TB
	dir    string
	binary string
	// redis is where the installation's data is, front the way to it of everything
	// but the workers.
	redis    *server
	front    *wire
	provider *proctest.Provider
	serve    *proctest.Process
	// gate is what providers call back to.
	gate     *gate
	workers  []*worker
	sessions []*submitted
	// decided counts, per job, the charges that a decision of the operator allowed
	// beyond the first.
	decided map[proctest.Job]int
	// presumed are the credits, by provider, of requests that the operator took for not
	// accepted: Segue may go on counting them.
	presumed map[string]float64
	// calmed is when the faults were over.
	calmed time.Time
}

// worker is a place for a worker process, with connections of its own. The process in
// it changes.
type worker struct {
	rig   *rig
	index int
	// toRedis and toProvider are its only ways there.
	toRedis, toProvider *wire
	config              string
	// shift is how wrong its clock is; env is added to its environment.
	shift   time.Duration
	env     []string
	process *proctest.Process
	started int
}

// submitted is a session and what was asked of it.
type submitted struct {
	vendor proctest.Vendor
	id     string
	songs  []proctest.Song
}

// setup is what rigs differ in.
type setup struct {
	seed    uint64
	workers int
	// calls is how many paid requests a worker makes at once.
	calls int
	// answer is how long each answer of the provider is on its way, in milliseconds:
	// whatever happens to a worker happens with paid requests unanswered.
	answer    int
	simulator []string
	// redis is the settings below the key redis, but for the url.
	redis string
}

// assemble starts everything but the workers.
func assemble(t testing.TB, with setup) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), binary: program(t), redis: startRedis(t), gate: newGate(t), decided: map[proctest.Job]int{}, presumed: map[string]float64{}}
	r.provider = startProvider(t, r.binary, int64(with.seed>>1)+1, append([]string{"--extend-time", "2s", "--track-scale", "0.001"}, with.simulator...)...)
	r.front = lay(t, "redis", r.redis.address)
	r.write("segue.yaml", "redis://"+r.front.address()+"/0", r.provider.URL, with)
	r.serve = r.start("serve", "serve", "--server-addr", "127.0.0.1:0")
	r.gate.open(t, r.serve.Says(r.serve.Stderr, `serving on (http://\S+)`)[1])
	for n := range with.workers {
		w := &worker{rig: r, index: n, toRedis: lay(t, "redis", r.redis.address), toProvider: lay(t, "provider", r.provider.Host)}
		w.config = r.write(fmt.Sprintf("worker%d.yaml", n), "redis://"+w.toRedis.address()+"/0", "http://"+w.toProvider.address(), with)
		if with.answer > 0 {
			w.toProvider.spoil(slow(back, with.answer))
		}
		r.workers = append(r.workers, w)
	}
	return r
}

// startProvider starts the simulated provider in the first mood from a seed on in
// which kkiai takes a step of an upload twice. In the other mood, an upload whose
// answer is lost is given up after an hour, which no run can wait for.
func startProvider(t testing.TB, binary string, seed int64, args ...string) *proctest.Provider {
	t.Helper()
	for ; ; seed++ {
		p := proctest.StartProvider(t, binary, seed, args...)
		if p.State().Kkiai.Repeat == "same" {
			return p
		}
		p.Process.Stop()
	}
}

// write writes a configuration file and gives its path.
func (r *rig) write(name, redisURL, providerURL string, with setup) string {
	r.t.Helper()
	text := fmt.Sprintf(`redis: {url: %q%s}
state_dir: state
worker: {drain: %s, concurrency: {upload: %[4]d, fetch: 4, calls: %[4]d}}
archive: {url: archive}
security: {allow_private_hosts: ["127.0.0.1"]}
providers:
`, redisURL, with.redis, drain, with.calls)
	own := map[string]string{
		"kie":      fmt.Sprintf(", staging_url: %s/kie-staging", providerURL),
		"mountsea": fmt.Sprintf(", credits_url: %s/mountsea-credits", providerURL),
	}
	for _, v := range proctest.Vendors() {
		text += fmt.Sprintf("  %[1]s: {driver: %[1]s, base_url: %[2]s/%[1]s, accounts: {main: {api_key: %[3]s}}, poll: {min: 500ms, max: 2s}%[4]s}\n",
			v.Name, providerURL, proctest.APIKey, own[v.Name])
	}
	path := filepath.Join(r.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// start starts a process of the installation that nothing stands in the way of.
func (r *rig) start(name string, args ...string) *proctest.Process {
	r.t.Helper()
	return proctest.Start(r.t, proctest.Launch{Name: name, Binary: r.binary, Dir: r.dir, Env: proctest.Environment(r.dir), Args: args})
}

// run runs a command to its end.
func (r *rig) run(args ...string) (stdout, stderr string, code int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.binary, args...)
	cmd.Dir, cmd.Env = r.dir, proctest.Environment(r.dir)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		r.t.Fatalf("segue %s: %v", strings.Join(args, " "), err)
	}
	return out.String(), said.String(), cmd.ProcessState.ExitCode()
}

// vendorsNamed are those of the vendors.
func vendorsNamed(names ...string) []proctest.Vendor {
	return slices.DeleteFunc(proctest.Vendors(), func(v proctest.Vendor) bool { return !slices.Contains(names, v.Name) })
}

// submit enqueues songs that no other session has, to be uploaded and extended.
func (r *rig) submit(v proctest.Vendor, n int) *submitted {
	r.t.Helper()
	s := &submitted{vendor: v, songs: make([]proctest.Song, n)}
	folder := r.t.TempDir()
	for i := range s.songs {
		s.songs[i] = proctest.Write(r.t, folder, fmt.Sprintf("%03d.wav", i), proctest.Tone(1000*len(r.sessions)+i, 2.5))
	}
	args := []string{"submit", "--provider", v.Name, "--extend", "--continue-at", "-1", "--title", "Chaos", "--style", "ambient", "--instrumental"}
	out, said, code := r.run(append(args, proctest.Paths(s.songs)...)...)
	if s.id = strings.TrimSuffix(out, "\n"); code != 0 || !strings.HasPrefix(s.id, "ses_") {
		r.t.Fatalf("submit: exit code %d, stdout %q; want 0 and a session id\n%s", code, out, said)
	}
	r.sessions = append(r.sessions, s)
	return s
}

// status is a session as the command line shows it.
func (r *rig) status(s *submitted) *proctest.Status {
	r.t.Helper()
	out, said, _ := r.run("status", "--json", s.id)
	if out == "" {
		r.t.Fatalf("status of %s: %s", s.id, said)
	}
	return proctest.Decode(r.t, out)
}

// start starts a worker process in this place. It does not wait: Redis may be away.
func (w *worker) start() {
	w.rig.t.Helper()
	w.started++
	w.process = proctest.Start(w.rig.t, proctest.Launch{
		Name: fmt.Sprintf("worker %d, process %d", w.index, w.started), Binary: w.rig.binary, Dir: w.rig.dir,
		Env:  append(append(proctest.Environment(w.rig.dir), clockShift+"="+w.shift.String()), w.env...),
		Args: []string{"worker", "--config", w.config, "--server-public-url", w.rig.gate.server.URL},
	})
}

// awaitReady waits until the worker takes tasks.
func (w *worker) awaitReady() { w.process.Says(w.process.Stderr, `worker started`) }
