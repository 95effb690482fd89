//go:build !linux

package certify

import "syscall"

// attributes are the system's own: only Linux ends a child with its parent.
func attributes() *syscall.SysProcAttr { return nil }
