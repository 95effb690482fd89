//go:build !(darwin || linux)

package doctor

import "errors"

// freeSpace does not know.
func freeSpace(string) (uint64, error) { return 0, errors.ErrUnsupported }
