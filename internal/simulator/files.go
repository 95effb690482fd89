package simulator

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// depot keeps the bytes that clients give to a provider, on disk: what a client
// sends may be half a gigabyte, and many send at once. The directory is made
// when the first file comes.
type depot struct {
	dir    string // "" makes a temporary one
	mu     sync.Mutex
	made   bool
	owned  bool // it is temporary: close removes it
	closed bool
}

// fileSuffix tells the depot's files from what else lies in its directory.
const fileSuffix = ".upload"

var (
	errTooLarge = errors.New("too large")
	errClosed   = errors.New("the simulator is closed")
)

// path gives the place of a file. Names are made by this package.
func (d *depot) path(name string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return "", errClosed
	}
	if d.made {
		return filepath.Join(d.dir, name+fileSuffix), nil
	}
	if d.dir == "" {
		dir, err := os.MkdirTemp("", "segue-sim-")
		if err != nil {
			return "", err
		}
		d.dir, d.owned = dir, true
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return "", err
	}
	d.made = true
	return filepath.Join(d.dir, name+fileSuffix), nil
}

// parcel is what was kept of a body.
type parcel struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// keep streams a body into the file of a name and replaces what was there. A
// body that breaks off, or has more than limit bytes, leaves nothing behind and
// the former file as it was.
func (d *depot) keep(name string, body io.Reader, limit int64) (parcel, error) {
	path, err := d.path(name)
	if err != nil {
		return parcel{}, err
	}
	// Two transfers of one file must not write into each other.
	f, err := os.CreateTemp(filepath.Dir(path), "incoming-*"+fileSuffix)
	if err != nil {
		return parcel{}, err
	}
	digest := sha256.New()
	size, err := io.Copy(io.MultiWriter(f, digest), io.LimitReader(body, limit+1))
	if err == nil && size > limit {
		err = errTooLarge
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return parcel{}, errors.Join(err, os.Remove(f.Name()))
	}
	return parcel{Size: size, SHA256: hex.EncodeToString(digest.Sum(nil))}, nil
}

// open gives a kept file.
func (d *depot) open(name string) (*os.File, error) {
	path, err := d.path(name)
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

// drop forgets a file; one that is not there is as good as gone.
func (d *depot) drop(name string) error {
	path, err := d.path(name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// clear forgets all files. What else lies in a directory that the depot was
// given stays.
func (d *depot) clear() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dir == "" {
		return nil
	}
	entries, err := os.ReadDir(d.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("files of the simulator: %w", err)
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != fileSuffix {
			continue
		}
		err = errors.Join(err, os.Remove(filepath.Join(d.dir, e.Name())))
	}
	return err
}

// close removes a temporary directory; a file still open in it can be read on.
func (d *depot) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if !d.owned {
		return nil
	}
	d.owned = false
	return os.RemoveAll(d.dir)
}
