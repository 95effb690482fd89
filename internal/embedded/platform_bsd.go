//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package embedded

import "syscall"

// childAttributes put the server into a process group of its own, because a
// terminal sends Ctrl-C to the whole foreground group and Redis is needed until
// the workers have drained. A server that outlives us is ended by the next
// Start.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
