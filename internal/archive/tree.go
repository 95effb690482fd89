package archive

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/segue-audio/segue/internal/fault"
)

// What the archive needs for itself lies below one hidden directory, so that a
// player or a synchronising client that watches the archive meets whole tracks
// only. It is below the same root because a file must be linked into place.
const (
	ownDir     = ".segue/"
	recordsDir = ".segue/tracks"
	partsDir   = ".segue/parts"
)

// What some file systems cannot do. Tests take it away.
var (
	tryLock = lock
	addName = (*os.Root).Link
)

// tree is the archive's directory during one call. It is opened anew for every
// call: a volume that was unmounted and came back is the directory again, and
// one that did not is an error instead of a directory filled behind it.
//
// An os.Root lets no name and no symbolic link lead out of it.
type tree struct {
	path string
	op   string // whom failures are attributed to
	root *os.Root
}

func openTree(dir, op string) (*tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, diskFault(op, dir, err)
	}
	return &tree{path: dir, op: op, root: root}, nil
}

func (t *tree) close() { _ = t.root.Close() } // it only gives up a handle; nothing was written through it

// full gives the absolute path of a name in the tree.
func (t *tree) full(name string) string { return filepath.Join(t.path, filepath.FromSlash(name)) }

// mkdirFor makes the directory of a name, and makes it durable when it is new.
func (t *tree) mkdirFor(name string) error {
	dir := path.Dir(name)
	if _, err := t.root.Stat(dir); err == nil {
		return nil
	}
	if err := t.root.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for ; dir != "."; dir = path.Dir(dir) {
		if err := t.sync(dir); err != nil {
			return err
		}
	}
	return nil
}

// write replaces a file in one step: readers see the old bytes or the new ones.
// When it has returned, the new ones survive a power cut.
func (t *tree) write(name string, r io.Reader) error {
	if err := t.replace(name, r, true); err != nil {
		return err
	}
	return t.sync(name)
}

// note is write for what may be forgotten in a power cut, or left in pieces: its
// readers do without it then.
func (t *tree) note(name string, v any) error {
	content, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return t.replace(name, bytes.NewReader(append(content, '\n')), false)
}

// replace fills a temporary file and gives it its name.
func (t *tree) replace(name string, r io.Reader, flush bool) error {
	temporary := name + "." + rand.Text()[:8] + ".tmp"
	if !strings.HasPrefix(name, ownDir) {
		temporary = path.Join(partsDir, temporary)
	}
	for _, file := range []string{temporary, name} {
		if err := t.mkdirFor(file); err != nil {
			return err
		}
	}
	err := t.fill(temporary, r, flush)
	if err == nil {
		err = t.root.Rename(temporary, name)
	}
	if err != nil {
		return errors.Join(err, t.remove(temporary))
	}
	return nil
}

func (t *tree) fill(name string, r io.Reader, flush bool) error {
	file, err := t.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, r)
	if err == nil && flush {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// create makes a file anew. One of the name that is there is not written to, as
// it may have a second name, but taken away.
func (t *tree) create(name string, fill func(*os.File) error) error {
	if err := t.remove(name); err != nil {
		return err
	}
	file, err := t.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(fill(file), file.Close())
}

// flush makes a file's bytes durable.
func (t *tree) flush(name string) error {
	file, err := t.root.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// sync makes the presence of a name durable.
func (t *tree) sync(name string) error {
	if !syncsDirectories {
		return nil
	}
	dir, err := t.root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	err = dir.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil // some network file systems cannot sync a directory, and need not
	}
	return errors.Join(err, dir.Close())
}

// remove deletes a file; one that is not there is no error.
func (t *tree) remove(name string) error {
	err := t.root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// link gives a file a second name, never replacing one: of two that try, one
// gets an error that is fs.ErrExist.
func (t *tree) link(from, to string) error {
	err := addName(t.root, from, to)
	if err == nil || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) || isFull(err) {
		return err
	}
	// FAT, and some network and user-space file systems, have no links. Renaming
	// is the next best: between the look and the step another's whole file could
	// be replaced by ours.
	if _, err := t.root.Lstat(to); err == nil {
		return &fs.PathError{Op: "link", Path: to, Err: fs.ErrExist}
	}
	return t.root.Rename(from, to)
}

// readJSON reports whether the file was there and readable into v. A file that
// is not says nothing, which all callers can live with.
func (t *tree) readJSON(name string, v any) bool {
	content, err := t.root.ReadFile(name)
	return err == nil && json.Unmarshal(content, v) == nil
}

// fault words a failure of the file system.
func (t *tree) fault(err error) *fault.Error { return diskFault(t.op, t.path, err) }

// diskFault words what the file system below dir refused. All of it is
// unavailable, never final: a person frees space or mends permissions, and a
// result that was paid for is then fetched.
func diskFault(op, dir string, err error) *fault.Error {
	switch {
	case isFull(err):
		err = fmt.Errorf("no space left on %s: %w", dir, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		err = fmt.Errorf("%s is not writable: %w", dir, err)
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("%s is not there (is it mounted?): %w", dir, err)
	default:
		err = fmt.Errorf("the archive at %s cannot be used: %w", dir, err)
	}
	return failed(fault.Unavailable, op, err)
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
