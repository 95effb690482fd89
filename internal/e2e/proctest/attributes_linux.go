package proctest

import "syscall"

// attributes also end a child when this process ends without having stopped it:
// go test's own timeout leaves no time for that.
func attributes(group bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: group, Pdeathsig: syscall.SIGKILL}
}
