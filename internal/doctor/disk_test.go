package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// room says how much is left, whatever the directory.
func room(free uint64, err error) func(string) (uint64, error) {
	return func(string) (uint64, error) { return free, err }
}

const plenty = 5 << 30

// folder makes a directory with a mode, whatever the umask.
func folder(t *testing.T, mode os.FileMode) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, mode)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestDisk(t *testing.T) {
	dir := folder(t, 0o700)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		disk Disk
		want []expected
	}{
		"well":        {Disk{Archive: dir, State: dir, Free: room(plenty, nil)}, nil},
		"to be made":  {Disk{Archive: filepath.Join(dir, "a", "b"), State: dir, Free: room(plenty, nil)}, nil},
		"no telling":  {Disk{Archive: dir, State: dir, Free: room(0, errors.ErrUnsupported)}, nil},
		"a file":      {Disk{Archive: file, State: dir, Free: room(plenty, nil)}, []expected{{Error, "disk.archive", "is not a directory", "archive.url"}}},
		"in a file":   {Disk{Archive: filepath.Join(file, "sub"), State: dir, Free: room(plenty, nil)}, []expected{{Error, "disk.archive", "cannot be made", "archive.url"}}},
		"little room": {Disk{Archive: dir, State: dir, Free: room(900<<20, nil)}, []expected{{Warning, "disk.archive", "only 900.0 MB are left", "make room"}, {Warning, "disk.state", "only 900.0 MB", "make room"}}},
		"no room":     {Disk{Archive: dir, State: dir, Free: room(50<<20, nil)}, []expected{{Error, "disk.archive", "only 50.0 MB are left", "make room"}, {Error, "disk.state", "only 50.0 MB", "state_dir"}}},
		"broken":      {Disk{Archive: dir, State: dir, Free: room(0, syscall.EIO)}, []expected{{Warning, "disk.archive", "could not be looked at: input/output error", ""}, {Warning, "disk.state", "could not be looked at", ""}}},
		"elsewhere":   {Disk{Elsewhere: "s3://bucket", State: dir, Free: room(plenty, nil)}, []expected{{Note, "disk.archive", "results are kept in s3://bucket", ""}}},
		"tried":       {Disk{Elsewhere: "s3://bucket", Tried: true, State: dir, Free: room(plenty, nil)}, nil},
		"nowhere":     {Disk{Elsewhere: "s3://bucket", Unusable: errors.New("not supported"), State: dir, Free: room(plenty, nil)}, []expected{{Error, "disk.archive", "cannot be kept in s3://bucket: not supported", "archive.url"}}},
	} {
		t.Run(name, func(t *testing.T) { holds(t, c.disk.Examine(), c.want...) })
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("%v (%v) is in the directory, want the file alone: the doctor leaves nothing behind", left, err)
	}
}

func TestWhoMayWriteToTheState(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes are kept elsewhere here")
	}
	for mode, want := range map[os.FileMode][]expected{
		0o755:                 nil,
		0o770:                 {{Warning, "disk.permissions", "a whole group", "chmod g-w"}},
		0o777:                 {{Error, "disk.permissions", "everybody on this machine", "chmod o-w"}},
		0o777 | os.ModeSticky: {{Warning, "disk.permissions", "a whole group", "chmod g-w"}},
	} {
		dir := folder(t, mode)
		holds(t, Disk{Archive: dir, State: dir, Free: room(plenty, nil)}.Examine(), want...)
	}
}

func TestDirectoryThatCannotBeWritten(t *testing.T) {
	if os.Geteuid() == 0 {
		// Nothing is forbidden to root but what nobody can: /proc takes no files.
		holds(t, Disk{Archive: "/proc", State: t.TempDir(), Free: room(plenty, nil)}.Examine()[:1],
			expected{Error, "disk.archive", "/proc (archive.url) cannot be written", "chown"})
		return
	}
	dir := folder(t, 0o500)
	findings := Disk{Archive: dir, State: dir, Free: room(plenty, nil)}.Examine()
	holds(t, findings, expected{Error, "disk.archive", "cannot be written: permission denied", "chown"},
		expected{Error, "disk.state", "cannot be written: permission denied", "chown"})
}

func TestFreeSpace(t *testing.T) {
	free, err := freeSpace(t.TempDir())
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("not known on this system")
	}
	if err != nil || free == 0 {
		t.Errorf("freeSpace = %d, %v, want some", free, err)
	}
	if _, err := freeSpace(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("freeSpace of what is not there: no error, want one")
	}
}
