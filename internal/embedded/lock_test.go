//go:build unix

package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/segue-audio/segue/internal/fault"
)

func TestSecondStartNamesTheHolder(t *testing.T) {
	for name, binary := range engines(t) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			o := startOwner(t, dir, ownerServer+"="+binary)

			_, err := Start(t.Context(), Options{Dir: dir, RedisServer: binary})
			if fault.CodeOf(err) != fault.Conflict {
				t.Fatalf("Start() in a directory in use = %v, want a conflict", err)
			}
			want := regexp.MustCompile(fmt.Sprintf(
				`in use by process %d \(segue run \./songs\), since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: wait .* redis\.url`, o.cmd.Process.Pid))
			if !want.MatchString(err.Error()) {
				t.Errorf("Start() = %q, want it to match %s", err, want)
			}
			// The one who was there first has not noticed.
			mustSet(t, o.url, "still", "there")
		})
	}
}

func TestOneProcessCannotStartTwiceEither(t *testing.T) {
	dir := t.TempDir()
	r := mustStart(t, Options{Dir: dir, RedisServer: None})
	if _, err := Start(t.Context(), Options{Dir: dir, RedisServer: None}); fault.CodeOf(err) != fault.Conflict {
		t.Errorf("a second Start() = %v, want a conflict", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	mustStart(t, Options{Dir: dir, RedisServer: None})
}

func TestStaleLockIsNoObstacle(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "redis"), 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{
		"redis.sock":  "as if it were one",
		"owner.lock":  `{"pid":1,"command":"segue run","started":"2020-01-01T00:00:00Z"}`,
		"server.lock": `{"pid":1,"socket":"/nonexistent/segue-redis-1/redis.sock"}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, "redis", file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := mustStart(t, Options{Dir: dir, RedisServer: None})
	mustSet(t, r.URL(), "works", "yes")

	stat, err := os.Stat(filepath.Join(dir, "redis"))
	if err != nil || stat.Mode().Perm() != 0o700 {
		t.Errorf("the folder's mode is %v, %v, want it closed to others (0700)", stat.Mode(), err)
	}
}

func TestHolderThatIsStillWritingIsAnotherProcess(t *testing.T) {
	h := home{dir: t.TempDir()}
	first, err := lockOwner(h, "segue run")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.release() }()
	if err := first.file.Truncate(0); err != nil {
		t.Fatal(err)
	}
	_, err = lockOwner(h, "segue run")
	if fault.CodeOf(err) != fault.Conflict || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("lockOwner() = %v, want a conflict with another process", err)
	}
}

func TestDirectoryIsNeeded(t *testing.T) {
	if _, err := Start(t.Context(), Options{RedisServer: None}); fault.CodeOf(err) != fault.Invalid {
		t.Errorf("Start() without a directory = %v, want invalid", err)
	}
}

// Sockets have short paths; directories may have long ones, and odd ones.
func TestLongDirectory(t *testing.T) {
	for name, binary := range engines(t) {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", shortTemp(t))
			dir := filepath.Join(t.TempDir(), `it's "my" musik ♪ %41`, strings.Repeat("long/", 30))
			o := startOwner(t, dir, ownerServer+"="+binary)
			mustSet(t, o.url, "key", "value")
			if binary == None {
				eventually(t, "the file holds the key", func() bool { return snapshotHolds(dir, "key") })
			}
			o.kill()

			r := mustStart(t, Options{Dir: dir, RedisServer: binary})
			wantValue(t, r.URL(), "key", "value")
			if left := socketFolders(t); len(left) != 1 {
				t.Errorf("folders for sockets: %q, want one, the killed owner's removed", left)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if left := socketFolders(t); len(left) != 0 {
				t.Errorf("folders for sockets after Close: %q, want none", left)
			}
		})
	}
}

// shortTemp gives a folder that sockets fit into: the test's own is long.
func shortTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func socketFolders(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(os.TempDir(), "segue-redis-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}
