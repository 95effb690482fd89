package source_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/audio/source"
)

// asNobody runs fn with file permissions that bind also where the tests run as
// root. The thread is given up afterwards, its credentials with it.
func asNobody(t *testing.T, fn func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		fn()
		return
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := syscall.Setfsuid(65534)
		if err == nil {
			fn()
		}
		done <- err
	}()
	must(t, <-done)
}

func TestUnreadable(t *testing.T) {
	dir := plant(t, "a.mp3", "d/b.mp3", "d/shut/c.mp3", "d/z.mp3")
	for name, mode := range map[string]os.FileMode{"..": 0o755, ".": 0o755, "a.mp3": 0, "d/b.mp3": 0o644, "d/z.mp3": 0o644, "d/shut": 0} {
		must(t, os.Chmod(filepath.Join(dir, name), mode))
	}
	t.Cleanup(func() { must(t, os.Chmod(filepath.Join(dir, "d", "shut"), 0o700)) })
	var shown, findings []string
	asNobody(t, func() {
		shown, findings = expand(t, source.Options{Dir: dir}, "a.mp3", "d", "d/shut", "d/shut/c.mp3", "d/*.mp3")
	})
	if diff := cmp.Diff([]string{"d/b.mp3", "d/z.mp3"}, shown); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	want := []string{
		"a.mp3: reading it is not permitted",
		"d/shut: reading it is not permitted",
		"d/shut: reading it is not permitted",
		"d/shut/c.mp3: reading it is not permitted",
		// The glob looks at no directory below d, so it has nothing to say of shut.
		"note: d/b.mp3: the same as d/b.mp3 (d), named before; taken once",
		"note: d/z.mp3: the same as d/z.mp3 (d), named before; taken once",
	}
	if diff := cmp.Diff(want, findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}
