package simulator

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestDepotKeepsWholeFilesOnly(t *testing.T) {
	d := &depot{dir: filepath.Join(t.TempDir(), "kept")}
	got, err := d.keep("a", strings.NewReader("sound"), 5)
	want := parcel{Size: 5, SHA256: "dd29442deca69f52c50006b831cb216edf78a7da33748f0a80ff19f2ebe57ecd"}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parcel (-want +got):\n%s", diff)
	}
	if _, err := d.keep("a", strings.NewReader("sounds"), 5); !errors.Is(err, errTooLarge) {
		t.Errorf("six bytes of five: error %v, want too large", err)
	}
	torn := errors.New("torn")
	if _, err := d.keep("a", iotest.ErrReader(torn), 5); !errors.Is(err, torn) {
		t.Errorf("a body that breaks off: error %v, want its own", err)
	}
	f, err := d.open("a")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if text, err := io.ReadAll(f); string(text) != "sound" || err != nil {
		t.Errorf("the file holds %q (%v), want what came whole", text, err)
	}
	left, err := os.ReadDir(d.dir)
	if len(left) != 1 || err != nil {
		t.Errorf("%d files (%v), want 1: nothing of what broke off", len(left), err)
	}
}

func TestDepotRemovesOnlyItsOwn(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "song.mp3")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := &depot{dir: dir}
	if _, err := d.keep("a", strings.NewReader("sound"), 5); err != nil {
		t.Fatal(err)
	}
	if err := d.drop("never was"); err != nil {
		t.Errorf("drop of nothing: %v, want no error", err)
	}
	// A second depot, as after a restart, knows the first one's files.
	if err := errors.Join((&depot{dir: dir}).clear(), d.close()); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if len(left) != 1 || left[0].Name() != "song.mp3" || err != nil {
		t.Errorf("left %v (%v), want song.mp3 alone", left, err)
	}
	if _, err := d.keep("b", strings.NewReader("sound"), 5); !errors.Is(err, errClosed) {
		t.Errorf("keep after close: error %v, want closed", err)
	}
}

func TestDepotMakesAndRemovesATemporaryDirectory(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	d := &depot{}
	if err := d.clear(); err != nil {
		t.Errorf("clear of nothing: %v", err)
	}
	if _, err := d.keep("a", strings.NewReader("sound"), 5); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.close(), d.close()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(d.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there (%v), want it gone", err)
	}
}
