//go:build unix && !linux

package proctest

import "syscall"

// attributes can do nothing here about a child that outlives this process.
func attributes(group bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: group}
}
