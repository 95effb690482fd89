//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package archive

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// syncsDirectories says whether a directory can be made durable by itself.
const syncsDirectories = true

// lock takes the file for this open handle alone, until it is closed or the
// process dies. It returns errBusy when another handle has it, and another error
// where the file system has no locks.
func lock(file *os.File) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var refused error
	err = conn.Control(func(fd uintptr) {
		for refused = syscall.EINTR; errors.Is(refused, syscall.EINTR); {
			refused = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB)
		}
	})
	if errors.Is(refused, syscall.EWOULDBLOCK) {
		return errBusy
	}
	return errors.Join(err, refused)
}

// isShared reports whether the file has another name.
func isShared(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink > 1
}
