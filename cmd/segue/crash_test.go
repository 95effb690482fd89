package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/audio/samples"
	"github.com/segue-audio/segue/internal/simulator"
)

// The variables that tell a segue under test where to die, and where to write the
// places that it passed.
const (
	crashAt    = "CRASH_AT"    // "claimed#2": the second time it is claimed
	crashTrace = "CRASH_TRACE" // a file
)

// crashAsTold makes the process kill itself at a place, as a crash would: nothing is
// deferred, flushed or told to anybody.
func crashAsTold() {
	place, count, ok := strings.Cut(os.Getenv(crashAt), "#")
	trace := os.Getenv(crashTrace)
	if !ok && trace == "" {
		return
	}
	at, err := strconv.Atoi(count)
	if ok && err != nil {
		panic(err)
	}
	var mu sync.Mutex
	passed := map[string]int{}
	atPlace = func(here string) {
		mu.Lock()
		defer mu.Unlock()
		passed[here]++
		if trace != "" {
			keepTrace(trace, fmt.Sprintf("%s#%d\n", here, passed[here]))
		}
		if here == place && passed[here] == at {
			if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
				panic(err)
			}
			select {} // until the signal is delivered
		}
	}
}

func keepTrace(path, line string) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	_, err = f.WriteString(line)
	if err := errors.Join(err, f.Close()); err != nil {
		panic(err)
	}
}

// crashRig is one home with one song, and a simulated provider that outlives every
// process.
type crashRig struct {
	t    *testing.T
	dir  string
	sim  *simulator.Simulator
	args []string
}

func newCrashRig(t *testing.T) *crashRig {
	t.Helper()
	sim, err := simulator.New(simulator.Options{
		Seed: 1, TrackScale: 0.05, PollAdvice: time.Millisecond,
		UploadTime: simulator.Timing{Mean: 10 * time.Millisecond}, ExtendTime: simulator.Timing{Mean: 10 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", sim.Handler())
	// The song is somebody else's to serve: what a process serves itself dies with it.
	mux.HandleFunc("/web/tape.mp3", func(w http.ResponseWriter, req *http.Request) {
		http.ServeContent(w, req, "tape.mp3", time.Time{}, bytes.NewReader(samples.Files()[0].Data))
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }() // ends with the test
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), sim.Close()); err != nil {
			t.Error(err)
		}
	})
	r := &crashRig{t: t, dir: t.TempDir(), sim: sim}
	song := fmt.Sprintf("http://%s/web/tape.mp3", l.Addr())
	r.args = []string{"run", song, "--provider", "studio", "--extend", "--continue-at", "2", "--json"}
	if err := place(filepath.Join(r.dir, "segue.yaml"), fmt.Appendf(nil, providersYAML, l.Addr())); err != nil {
		t.Fatal(err)
	}
	return r
}

// segue runs the program to its end, or to its death, and gives its exit code.
func (r *crashRig) segue(env []string, args ...string) (stdout string, code int) {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "segue", args...)
	cmd.Dir = r.dir
	cmd.Env = append([]string{
		"HOME=" + r.dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "STUDIO_KEY=" + secretKey,
		"SEGUE_STATE_DIR=" + filepath.Join(r.dir, "state"),
	}, env...)
	// Files, not pipes: the redis-server of a process that died would keep a pipe open.
	out, log := r.file("stdout"), r.file("stderr")
	cmd.Stdout, cmd.Stderr = out, log
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		r.t.Fatalf("segue %v: %v", args, err)
	}
	if code = cmd.ProcessState.ExitCode(); code != 0 && code != exitHeld && code != -1 {
		r.t.Logf("segue %v: exit code %d\n%s", args, code, r.content(log))
	}
	return r.content(out), code
}

func (r *crashRig) file(name string) *os.File {
	r.t.Helper()
	f, err := os.CreateTemp(r.dir, name)
	if err != nil {
		r.t.Fatal(err)
	}
	return f
}

func (r *crashRig) content(f *os.File) string {
	r.t.Helper()
	body, err := os.ReadFile(f.Name())
	if err := errors.Join(err, f.Close()); err != nil && !errors.Is(err, os.ErrClosed) {
		r.t.Fatal(err)
	}
	return string(body)
}

// held gives the items that wait for a person.
func (r *crashRig) held(stdout string) []enqueue.ItemStatus {
	r.t.Helper()
	var status enqueue.Status
	if err := json.Unmarshal([]byte(stdout), &status); err != nil {
		r.t.Fatalf("%v: %s", err, stdout)
	}
	return slices.DeleteFunc(status.Items, func(it enqueue.ItemStatus) bool { return it.Status != "held" })
}

// resolve decides as an operator does who looks at the provider's own list.
func (r *crashRig) resolve(it enqueue.ItemStatus) {
	r.t.Helper()
	endpoint := map[string]string{"upload": "mountsea.item", "extend": "mountsea.generate"}[it.Step]
	decision := []string{"resolve", it.ItemID, "--resubmit"}
	for _, charge := range r.sim.Charges() {
		if charge.Endpoint == endpoint {
			decision = []string{"resolve", it.ItemID, "--operation", charge.OperationID}
		}
	}
	if _, code := r.segue(nil, decision...); code != 0 {
		r.t.Fatalf("segue %v: exit code %d", decision, code)
	}
}

// TestCrashPoints ends a real process at every place that every step of a song passes,
// one place after the other, and starts the same command again. The song is paid for
// once and is there in the end. Only where a paid request may have been on its way
// is a person ever asked.
func TestCrashPoints(t *testing.T) {
	first := newCrashRig(t)
	trace := filepath.Join(first.dir, "trace")
	if _, code := first.segue([]string{crashTrace + "=" + trace}, first.args...); code != 0 {
		t.Fatalf("without a crash: exit code %d", code)
	}
	content, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	places := strings.Fields(strings.ReplaceAll(string(content), " ", "_"))
	doubtful := []string{"claimed", "sent", "before_record"}
	for _, name := range []string{"preparing#1", "reserved#2", "claimed#3", "sent#2", "before_record#5", "recorded#5", "accounted#5", "enqueued#4", "reported#1", "returned#5"} {
		if !slices.Contains(places, name) {
			t.Errorf("a song does not pass %s; it passes %v", name, places)
		}
	}
	for _, name := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newCrashRig(t)
			if _, code := r.segue([]string{crashAt + "=" + strings.ReplaceAll(name, "_", " ")}, r.args...); code == exitHeld || code > 0 {
				t.Fatalf("exit code %d, want a death (or, where a poll came later, a good end)", code)
			}
			stdout, code := r.segue(nil, r.args...)
			if code == exitHeld {
				kind, _, _ := strings.Cut(name, "#")
				if !slices.Contains(doubtful, kind) {
					t.Errorf("held after a death at %s, where no paid request was on its way", name)
				}
				for _, it := range r.held(stdout) {
					r.resolve(it)
				}
				stdout, code = r.segue(nil, r.args...)
			}
			if code != 0 {
				t.Fatalf("started again it ends with %d\n%s", code, stdout)
			}
			verdict := r.sim.Verdict()
			if verdict.Charges != 2 || verdict.ExtraCharges != 0 || verdict.UnseenResults != 0 || verdict.UnfetchedTracks != 0 {
				t.Errorf("%d charges, %d extra, %d results never seen, %d tracks never fetched; want 2, 0, 0, 0",
					verdict.Charges, verdict.ExtraCharges, verdict.UnseenResults, verdict.UnfetchedTracks)
			}
			var status enqueue.Status
			if err := json.Unmarshal([]byte(stdout), &status); err != nil || len(status.AudioIDs) != 2 || status.CreditsSpent != 12 {
				t.Errorf("%v: %d audioIds, %g credits; want 2 and 12", err, len(status.AudioIDs), status.CreditsSpent)
			}
		})
	}
}
