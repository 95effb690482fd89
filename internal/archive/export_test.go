package archive

import (
	"errors"
	"os"
	"testing"
)

// WithoutLocks makes file systems that cannot lock, for one test.
func WithoutLocks(t *testing.T) {
	t.Helper()
	able := tryLock
	tryLock = func(*os.File) error { return errors.ErrUnsupported }
	t.Cleanup(func() { tryLock = able })
}

// WithoutLinks makes file systems that cannot link, for one test.
func WithoutLinks(t *testing.T) {
	t.Helper()
	able := addName
	addName = func(*os.Root, string, string) error { return errors.ErrUnsupported }
	t.Cleanup(func() { addName = able })
}
