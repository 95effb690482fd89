package archive_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/fault"
)

// onSmallDisk runs fn with a file system of 1 MiB at dir, which only the thread
// that runs fn sees and which goes with it. Where the process may not mount,
// the test is skipped.
func onSmallDisk(t *testing.T, dir string, fn func()) {
	t.Helper()
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := syscall.Unshare(syscall.CLONE_NEWNS)
		if err == nil {
			err = syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
		}
		if err == nil {
			err = syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m")
		}
		if err == nil {
			fn()
		}
		ended <- err
	}()
	err := <-ended
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
		t.Skipf("no small disk to be had: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestFullDisk(t *testing.T) {
	small, large := wav(20, 1), wav(200, 2) // 160 kB and 1.6 MB
	server := serve(t, whole(large, `"v1"`), whole(small, `"v2"`))
	dir := t.TempDir()
	onSmallDisk(t, dir, func() {
		b := open(t, dir)
		_, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name})
		if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "no space left on "+dir) {
			t.Errorf("Keep on a full disk: %v, want unavailable: no space left on %s", err, dir)
		}
		b.checkNoSecret(t, err)
		// The half file gave its space back, so that another track fits.
		if _, parts := files(t, dir); len(parts) > 0 {
			t.Errorf("a full disk left %q", parts)
		}
		kept, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: "ses_1/001-small-1"})
		if err != nil || kept.Size != 160044 {
			t.Errorf("Keep of a small track: %+v, %v", kept, err)
		}
		filler := filepath.Join(dir, "filler")
		if err := os.WriteFile(filler, make([]byte, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("filling the disk: %v", err)
		}
		if err := b.Put(t.Context(), "ses_1/session.json", strings.NewReader(strings.Repeat("x", 9000))); fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("Put on a full disk: %v, want unavailable", err)
		}
	})
}
