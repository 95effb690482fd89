//go:build unix

package e2e_test

import (
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/e2e/proctest"
)

// manifestRows is small here: all of it takes as long as the machine needs for the
// songs, some sixty a second on two cores.
var manifestRows = flag.Int("manifest.rows", 600, "how many rows TestManifest has (the evidence: 100000)")

// TestManifest sees a manifest through of which every hundredth row is wrong: the plan
// names each of those at its line, nothing is sent while there are any, the good rows
// are all done, and a second run of them in another order pays nothing.
func TestManifest(t *testing.T) {
	needsRedisServer(t)
	binary, err := asShipped()
	if err != nil {
		t.Fatal(err)
	}
	n, patience := *manifestRows, 5*time.Minute+time.Duration(*manifestRows)*100*time.Millisecond
	s := onEmbedded(t, binary, direct, "--track-scale", "0.0001", "--upload-time", "50ms", "--extend-time", "50ms")
	s.provider.Credit(int64(12 * n))
	songs, wrong := s.manifests(n)
	ask := []string{"--provider", "mountsea", "--extend", "--continue-at", "-0.2"}
	say := func(args ...string) output { return s.run(patience, append(args, ask...)...) }

	began := time.Now()
	planned := say("plan", "all.csv", "--format", "csv", "--offline")
	t.Logf("plan of %d rows in %s with %d MB", n, time.Since(began).Round(time.Second), planned.peak>>20)
	if planned.code != 2 {
		t.Fatalf("plan: exit code %d, want 2\n%s", planned.code, proctest.Tail(planned.stderr, 20))
	}
	if diff := cmp.Diff(wrong, invalid(t, planned.stdout)); diff != "" {
		t.Errorf("lines that are wrong (-want +got):\n%s", diff)
	}
	if out := say("run", "all.csv"); out.code != 2 {
		t.Errorf("run with rows that are wrong: exit code %d, want 2\n%s", out.code, proctest.Tail(out.stderr, 20))
	}
	judged(t, s.provider.Verdict(), 0)

	began = time.Now()
	out := say("run", "good.csv", "--json")
	t.Logf("run of %d rows in %s with %d MB", len(songs), time.Since(began).Round(time.Second), out.peak>>20)
	if out.code != 0 {
		t.Fatalf("run: exit code %d, want 0\n%s", out.code, proctest.Tail(out.stderr, 60))
	}
	fulfilled(t, s.provider, songs, proctest.Decode(t, out.stdout))

	began = time.Now()
	again := say("run", "backwards.csv", "--json")
	t.Logf("a second run in %s with %d MB", time.Since(began).Round(time.Second), again.peak>>20)
	st := proctest.Decode(t, again.stdout)
	if again.code != 0 || st.Counts.Total != 0 || st.CreditsSpent != 0 {
		t.Errorf("the second run: exit code %d with %d items for %g credits; want 0, 0, 0\n%s", again.code, st.Counts.Total, st.CreditsSpent, proctest.Tail(again.stderr, 20))
	}
	if got := strings.Count(again.stdout, `"outcome": "reused"`); got != len(songs) {
		t.Errorf("%d inputs are shown as paid for before, want all %d", got, len(songs))
	}
	if v := s.provider.Verdict(); v.Charges != 2*len(songs) || v.ExtraCharges != 0 {
		t.Errorf("after the second run %d charges, %d extra; want %d and 0", v.Charges, v.ExtraCharges, 2*len(songs))
	}
}

// manifests writes n songs and three manifests: all.csv, every hundredth row of which is
// wrong, in five ways; good.csv without those; backwards.csv, the same from behind.
// It gives the good songs and, by line of all.csv, what is wrong.
func (s *system) manifests(n int) (songs []song, wrong map[string]string) {
	s.t.Helper()
	folder := filepath.Join(s.dir, "songs")
	if err := os.Mkdir(folder, 0o700); err != nil {
		s.t.Fatal(err)
	}
	proctest.Write(s.t, folder, "words.wav", []byte("no audio at all"))
	faults := []struct{ row, reason string }{
		{"songs/gone%d.wav,,", "there is no such file"},
		{"songs/words.wav,,%d", "this is not audio"},
		{"songs/%05d.wav,soon,", "it must be a number"},
		{"songs/%05d.wav,99,", "the audio ends at"},
		{",,%d", "source"},
	}
	all, good := []string{"source,continue_at,title"}, []string{}
	wrong = map[string]string{}
	for i := range n {
		if i%100 == 57 {
			fault := faults[len(wrong)%len(faults)]
			all = append(all, fmt.Sprintf(fault.row, max(i-1, 0)))
			wrong[fmt.Sprintf("all.csv:%d", len(all))] = fault.reason
			continue
		}
		one := proctest.Write(s.t, folder, fmt.Sprintf("%05d.wav", i), proctest.Tone(i, 0.5))
		one.Path = fmt.Sprintf("songs/%05d.wav", i) // as the manifest has it
		songs = append(songs, one)
		good = append(good, fmt.Sprintf("%s,,Song %d", one.Path, i))
		all = append(all, good[len(good)-1])
	}
	for name, rows := range map[string][]string{"all.csv": all[1:], "good.csv": good, "backwards.csv": backwards(good)} {
		text := all[0] + "\n" + strings.Join(rows, "\n") + "\n"
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return songs, wrong
}

// invalid reads the table of a plan: by line, what is wrong there, as far as this test
// knows such reasons.
func invalid(t testing.TB, table string) map[string]string {
	t.Helper()
	rows := csv.NewReader(strings.NewReader(table))
	header, err := rows.Read()
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	for n, name := range header {
		at[name] = n
	}
	found := map[string]string{}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		if row[at["outcome"]] != "invalid" {
			continue
		}
		reason := row[at["remarks"]]
		for _, known := range []string{"there is no such file", "this is not audio", "it must be a number", "the audio ends at", "source"} {
			if strings.Contains(reason, known) {
				reason = known
				break
			}
		}
		found[row[at["origin"]]] = reason
	}
}

func backwards(rows []string) []string {
	turned := slices.Clone(rows)
	slices.Reverse(turned)
	return turned
}
