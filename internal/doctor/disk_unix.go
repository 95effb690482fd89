//go:build darwin || linux

package doctor

import "syscall"

// freeSpace says how many bytes this user may still write to a directory's file
// system.
func freeSpace(dir string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil
}
