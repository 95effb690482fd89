//go:build unix && !linux

package e2e_test

import "syscall"

// attributes can do nothing here about a child that outlives this process.
func attributes(group bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: group}
}
