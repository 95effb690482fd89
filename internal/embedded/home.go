package embedded

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/segue-audio/segue/internal/fault"
)

// socketLimit is the longest path every supported system can bind: macOS has
// 104 bytes for it including the closing zero, Linux 108.
const socketLimit = 103

// socketFolder begins the name of the folders that home.socket makes elsewhere.
const socketFolder = "segue-redis-"

// home is the private folder that holds everything of one embedded Redis.
type home struct{ dir string }

// openHome makes root/redis, readable by this user alone.
func openHome(root string) (home, error) {
	const op = "embedded.Start"
	if root == "" {
		return home{}, fault.New(fault.Invalid, op, errors.New("no state directory given"))
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return home{}, fault.New(fault.Internal, op, err)
	}
	dir := filepath.Join(root, "redis")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return home{}, fault.New(fault.Internal, op, err)
	}
	// The folder's mode is what keeps others from the socket: systems differ in
	// whether they check the socket's own.
	if err := os.Chmod(dir, 0o700); err != nil {
		return home{}, fault.New(fault.Internal, op, err)
	}
	return home{dir: dir}, nil
}

func (h home) path(name string) string { return filepath.Join(h.dir, name) }

// socket gives the path to listen on, free of what a killed process left there.
// When the home's own is too long for the system, it is in a new private folder
// among the temporary files, which removeSocket removes.
func (h home) socket() (string, error) {
	const op = "embedded.Start"
	if path := h.path("redis.sock"); len(path) <= socketLimit {
		if err := h.removeSocket(path); err != nil {
			return "", fault.New(fault.Internal, op, err)
		}
		return path, nil
	}
	dir, err := os.MkdirTemp("", socketFolder)
	if err != nil {
		return "", fault.New(fault.Internal, op, err)
	}
	path := filepath.Join(dir, "redis.sock")
	if len(path) > socketLimit {
		return "", fault.New(fault.Invalid, op, errors.Join(
			errors.New("the state directory's path is too long for a socket, and so is the one for temporary files"), os.Remove(dir)))
	}
	return path, nil
}

// removeSocket removes a socket, and its folder if home.socket made one. The
// socket may be gone already.
func (h home) removeSocket(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir := filepath.Dir(path)
	if dir == h.dir || !strings.HasPrefix(filepath.Base(dir), socketFolder) {
		return nil
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// hasAppendOnly says whether a redis-server has kept data here: a folder since
// Redis 7, one file before.
func (h home) hasAppendOnly() bool {
	for _, name := range []string{"appendonlydir", "appendonly.aof"} {
		if _, err := os.Lstat(h.path(name)); err == nil {
			return true
		}
	}
	return false
}
