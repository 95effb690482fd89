package embedded

import "syscall"

// childAttributes put the server into a process group of its own, because a
// terminal sends Ctrl-C to the whole foreground group and Redis is needed until
// the workers have drained; and let it end in order when we are killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
