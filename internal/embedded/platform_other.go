//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package embedded

import (
	"errors"
	"os"
	"syscall"
)

func childAttributes() *syscall.SysProcAttr { return nil }

// tryLock fails: without flock nothing protects the data from a second
// process.
func tryLock(*os.File) error {
	return errors.New("no embedded Redis on this system: set redis.url")
}
