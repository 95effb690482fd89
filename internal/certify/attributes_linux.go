package certify

import "syscall"

// attributes put a child into a process group of its own, because a terminal sends
// Ctrl-C to the whole foreground group and the run ends its children itself; and let
// it die with us, however we die.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
