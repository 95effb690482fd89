//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package archive

import (
	"errors"
	"io/fs"
	"os"
)

// syncsDirectories says whether a directory can be made durable by itself.
const syncsDirectories = false

// lock always fails here: downloads then use names of their own, and one that
// was cut is resumed within its call but not by another process.
func lock(*os.File) error { return errors.ErrUnsupported }

// isShared reports whether the file has another name.
func isShared(fs.FileInfo) bool { return false }
