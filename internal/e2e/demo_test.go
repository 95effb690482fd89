//go:build unix

package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/audio"
	"github.com/segue-audio/segue/internal/e2e/proctest"
)

// TestDemo runs the demonstration as the first thing that a stranger does, with
// and without a redis-server on the machine.
func TestDemo(t *testing.T) {
	for _, tt := range []struct{ name, path string }{
		{"with redis-server", os.Getenv("PATH")},
		{"without", "/nowhere"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.path != "/nowhere" {
				needsRedisServer(t)
			}
			t.Parallel()
			dir := t.TempDir()
			p := proctest.Start(t, launch{Name: "segue demo", Binary: program(t), Dir: dir, Args: []string{"demo"}, Env: []string{"HOME=" + dir, "PATH=" + tt.path, "TMPDIR=" + dir}})
			if code := p.Wait(2 * time.Minute); code != 0 {
				t.Fatalf("exit code %d, want 0", code)
			}
			ids := idsPrinted(p.Stdout.String())
			if len(ids) != 10 {
				t.Errorf("%d audioIds are printed, want 10:\n%s", len(ids), p.Stdout)
			}
			tracks := tracksBelow(t, filepath.Join(dir, "segue-demo", "results"))
			if len(tracks) != 10 {
				t.Errorf("%d tracks in the results, want 10: %q", len(tracks), tracks)
			}
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) != 1 || entries[0].Name() != "segue-demo" {
				t.Errorf("the demo leaves %v behind (%v), want segue-demo alone", entries, err)
			}
		})
	}
}

// idsPrinted are the different ids in the last section of the report.
func idsPrinted(stdout string) map[string]bool {
	_, list, _ := strings.Cut(stdout, "\naudioIds:\n")
	ids := map[string]bool{}
	for _, id := range regexp.MustCompile(`(?m)^ {2}([0-9a-f]{8}-[0-9a-f-]{27})$`).FindAllStringSubmatch(list, -1) {
		ids[id[1]] = true
	}
	return ids
}

// tracksBelow are the files below a folder that are whole pieces of audio. Beside
// them are a record of each, of each item and of the session, and nothing else.
func tracksBelow(t testing.TB, dir string) []string {
	t.Helper()
	var tracks []string
	records := 0
	for _, path := range filesBelow(t, dir) {
		if filepath.Ext(path) == ".json" {
			records++
			continue
		}
		info, err := audio.ProbeFile(t.Context(), path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if info.Problem != "" || info.Duration <= 0 {
			t.Errorf("%s lasts %s, problem %q; want whole audio", path, info.Duration, info.Problem)
		}
		tracks = append(tracks, path)
	}
	if records != len(tracks)+len(tracks)/2+1 {
		t.Errorf("%d records beside %d tracks, want one each, one of each two and session.json", records, len(tracks))
	}
	return tracks
}
