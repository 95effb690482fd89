//go:build linux

package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/e2e/proctest"
	"github.com/segue-audio/segue/internal/simulator"
)

// bigSize is that of the largest audio file that any of the documents allows.
const bigSize = 500_000_000

// bigRounds is how often each transfer is made; the quickest counts.
const bigRounds = 2

// TestBigFiles sends 500 MB to each place that takes bytes. The worker needs no more
// memory for it than 64 MiB, and the test logs how its speed compares to that of
// curl.
func TestBigFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("writes some gigabytes")
	}
	binary, err := asShipped()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, provider string
		with           setup
		curl           func(s *system, file string) []string
	}{
		{name: "kkiai's storage, PUT", provider: "kkiai", with: setup{simulator: []string{"--seed", ticketSeed(t, "put")}}, curl: curlPut},
		{name: "kkiai's storage, POST", provider: "kkiai", with: setup{simulator: []string{"--seed", ticketSeed(t, "post")}}, curl: curlPost},
		{name: "KIE's staging host", provider: "kie", with: setup{options: "stage=stream"}, curl: curlStage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.with.poll = "500ms"
			s := installed(t, binary, tt.with)
			w := s.worker("worker")
			idle := peak(t, w)
			var own, other []time.Duration
			for n := range bigRounds {
				file := sparse(t, n)
				if seconds, ok := timed(t, tt.curl(s, file)); ok {
					other = append(other, seconds)
				}
				st, code := s.watch(s.submitTo(tt.provider, wishes, []song{{Path: file}}))
				if code != 0 || st.Status != "succeeded" {
					t.Fatalf("exit code %d, status %q, %+v; want 0 and succeeded", code, st.Status, st.Items)
				}
				arrived := job{SHA256: st.Items[0].SHA256, Endpoint: map[string]string{"kie": "kie.extend", "kkiai": "kkiai.submit"}[tt.provider]}
				if charges := s.provider.Book()[arrived]; len(charges) != 1 {
					t.Errorf("%d charges for %+v, want 1: the provider has the whole file", len(charges), arrived)
				}
				own = append(own, attempted(t, w, "audio:upload", st.Items[0].ItemID))
			}
			grown := peak(t, w) - idle
			if grown > 64<<20 {
				t.Errorf("the worker's memory grew by %d MiB, want at most 64", grown>>20)
			}
			t.Logf("memory: %d MiB idle, %d MiB more at most", idle>>20, grown>>20)
			if len(other) > 0 {
				t.Logf("500 MB: %s by segue's whole step, %s by curl, throughput %.2f of curl's (all: %s, %s)",
					slices.Min(own), slices.Min(other), slices.Min(other).Seconds()/slices.Min(own).Seconds(), own, other)
			}
		})
	}
}

// ticketSeed finds a seed by which the simulator's kkiai hands out tickets of a kind.
func ticketSeed(t testing.TB, kind string) string {
	t.Helper()
	for seed := int64(1); seed < 100; seed++ {
		sim, err := simulator.New(simulator.Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		answer := httptest.NewRecorder()
		sim.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/_sim/state", http.NoBody))
		var r simulator.Report
		if err := json.Unmarshal(answer.Body.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if err := sim.Close(); err != nil {
			t.Fatal(err)
		}
		if r.Kkiai.Ticket == kind {
			return strconv.FormatInt(seed, 10)
		}
	}
	t.Fatalf("no seed gives %s tickets", kind)
	return ""
}

// sparse is a WAV of 500 MB that takes no space: eight channels of 32 bits at
// 192 kHz, so that it is not longer than the providers allow.
func sparse(t testing.TB, number int) string {
	t.Helper()
	var head bytes.Buffer
	const block, rate, data = 32, 192_000, (bigSize - 44) / 32 * 32
	head.WriteString("RIFF")
	head.Write(proctest.Little32(36 + data))
	head.WriteString("WAVEfmt ")
	head.Write(proctest.Little32(16))
	head.Write([]byte{1, 0, 8, 0})
	head.Write(proctest.Little32(rate))
	head.Write(proctest.Little32(rate * block))
	head.Write([]byte{block, 0, 32, 0})
	head.WriteString("data")
	head.Write(proctest.Little32(data))
	head.Write(proctest.Little32(number))
	path := filepath.Join(t.TempDir(), fmt.Sprintf("big %d.wav", number))
	if err := os.WriteFile(path, head.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 44+data); err != nil {
		t.Fatal(err)
	}
	return path
}

// peak is the most memory that a process has had, in bytes.
func peak(t testing.TB, p *process) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`).FindSubmatch(text)
	if found == nil {
		t.Fatal("no VmHWM in the process's status")
	}
	kilobytes, err := strconv.ParseInt(string(found[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

// attempted is how long a worker says that a task took.
func attempted(t testing.TB, w *process, task, item string) time.Duration {
	t.Helper()
	found := w.Says(w.Stderr, `task_type=`+task+` task_id=\S*`+regexp.QuoteMeta(item)+`\S* .*duration=(\S+)`)
	d, err := time.ParseDuration(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// timed runs curl and gives the time of its transfer; false where there is no curl.
func timed(t testing.TB, args []string) (time.Duration, bool) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		return 0, false
	}
	all := append([]string{"--silent", "--show-error", "--fail", "--noproxy", "*", "--output", os.DevNull, "--write-out", "%{time_total}"}, args...)
	out, err := exec.CommandContext(t.Context(), "curl", all...).Output()
	if err != nil {
		t.Fatalf("curl: %v", err)
	}
	seconds, err := time.ParseDuration(strings.TrimSpace(string(out)) + "s")
	if err != nil {
		t.Fatal(err)
	}
	return seconds, true
}

// ticket is where kkiai wants a file, in either of its two forms.
type ticket struct {
	UploadURL string            `json:"upload_url"`
	URL       string            `json:"url"`
	Fields    map[string]string `json:"fields"`
}

// issued asks kkiai for a ticket.
func issued(t testing.TB, p *provider) ticket {
	t.Helper()
	var got struct {
		ticket
		Data ticket `json:"data"`
	}
	answer := p.Ask(http.MethodPost, "/kkiai/suno/uploads/audio", map[string]string{"extension": "wav"})
	if err := json.Unmarshal(answer, &got); err != nil {
		t.Fatal(err)
	}
	if got.UploadURL == "" && got.URL == "" {
		return got.Data
	}
	return got.ticket
}

func curlPut(s *system, file string) []string {
	return []string{"--upload-file", file, issued(s.t, s.provider).UploadURL}
}

func curlPost(s *system, file string) []string {
	given := issued(s.t, s.provider)
	var args []string
	for name, value := range given.Fields {
		args = append(args, "--form-string", name+"="+value)
	}
	return append(args, "--form", `file=@"`+file+`"`, given.URL)
}

func curlStage(s *system, file string) []string {
	return []string{
		"--header", "Authorization: Bearer " + proctest.APIKey, "--user-agent", "Mozilla/5.0",
		"--form-string", "uploadPath=segue", "--form-string", "fileName=curl.wav", "--form", `file=@"` + file + `"`,
		s.provider.URL + "/kie-staging/api/file-stream-upload",
	}
}
