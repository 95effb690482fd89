//go:build unix

package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/e2e/proctest"
	"github.com/segue-audio/segue/internal/embedded"
	"github.com/segue-audio/segue/internal/redisconn"
)

// needsRedisServer skips a test that is about redis-server where there is none,
// except in CI, where it must be.
func needsRedisServer(t testing.TB) {
	t.Helper()
	_, err := exec.LookPath("redis-server")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("redis-server is not installed, and CI must have it")
	}
	if err != nil {
		t.Skip("redis-server is not installed")
	}
}

var folderSongs = flag.Int("folder.songs", 3000, "how many songs TestLargeFolder has (the evidence: 10000)")

// TestLargeFolder sees thousands of songs through with one command on the embedded
// Redis: every one is paid for once, and twice as many audioIds are complete and in
// order.
func TestLargeFolder(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	needsRedisServer(t)
	binary, err := asShipped()
	if err != nil {
		t.Fatal(err)
	}
	n := *folderSongs
	s := onEmbedded(t, binary, direct, "--track-scale", "0.0001", "--upload-time", "50ms", "--extend-time", "50ms")
	s.provider.Credit(int64(12 * n))
	folder := t.TempDir()
	songs := make([]song, n)
	for i := range songs {
		songs[i] = proctest.Write(t, folder, fmt.Sprintf("%05d.wav", i), proctest.Tone(i, 0.5))
	}
	began := time.Now()
	out := s.run(2*time.Minute+time.Duration(n)*50*time.Millisecond, "run", folder, "--provider", "mountsea", "--extend", "--continue-at", "-0.2", "--json")
	t.Logf("%d songs in %s", n, time.Since(began).Round(time.Second))
	defer func(began time.Time) { t.Logf("verified in %s", time.Since(began).Round(time.Second)) }(time.Now())
	if out.code != 0 {
		t.Fatalf("exit code %d, want 0\n%s\n%s", out.code, proctest.Tail(out.stderr, 60), proctest.Tail(out.stdout, 20))
	}
	st := proctest.Decode(t, out.stdout)
	fulfilled(t, s.provider, songs, st)
	recorded(t, filepath.Join(s.dir, "archive"), st)
	if files := filesBelow(t, filepath.Join(s.dir, "archive", st.SessionID)); len(files) != 3*n+1 {
		t.Errorf("%d files in the archive, want %d tracks, %d sidecars and session.json", len(files), 2*n, n)
	}
	if credits := s.provider.State().Accounts[0].Credits; credits != 0 {
		t.Errorf("%d credits are left of what %d songs cost, want 0", credits, n)
	}
	if diff := cmp.Diff(map[string]string{"completions": "1", "settled": "1"}, s.embeddedFields(st.SessionID, "completions", "settled")); diff != "" {
		t.Errorf("the session's own record (-want +got):\n%s", diff)
	}
}

// embeddedFields reads a session's own record from what the command left behind.
func (s *system) embeddedFields(id string, names ...string) map[string]string {
	s.t.Helper()
	server, err := embedded.Start(s.t.Context(), embedded.Options{Dir: filepath.Join(s.dir, "state"), Command: "e2e"})
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() {
		if err := server.Close(); err != nil {
			s.t.Error(err)
		}
	}()
	rdb, err := redisconn.Open(server.URL())
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() {
		if err := rdb.Close(); err != nil {
			s.t.Error(err)
		}
	}()
	fields := map[string]string{}
	for _, name := range names {
		fields[name] = field(s.t, rdb, id, name)
	}
	return fields
}

// filesBelow lists the regular files in a folder, hidden ones included.
func filesBelow(t testing.TB, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
