package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// errBusy is what tryLock returns when somebody else holds the lock.
var errBusy = errors.New("locked")

// lockFile is a file that is locked with flock and says in JSON who holds it.
// The lock is the kernel's: it ends with its holder, however that dies, so a
// file that was left behind is no obstacle. The file is never removed: a
// removed lock file can be held by one process and made anew by another.
type lockFile struct{ file *os.File }

// openLock opens the file without locking it.
func openLock(path string) (*lockFile, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return &lockFile{file: file}, nil
}

func (l *lockFile) tryLock() error { return tryLock(l.file) }

// read decodes the content into v. It fails while the holder is writing.
func (l *lockFile) read(v any) error {
	text, err := io.ReadAll(io.NewSectionReader(l.file, 0, 1<<16))
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// write replaces the content.
func (l *lockFile) write(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err = l.file.WriteAt(append(text, '\n'), 0)
	return err
}

// release empties the file, so that it names nobody, and unlocks by closing:
// an explicit unlock would also end the hold of a child that shares the file.
func (l *lockFile) release() error {
	return errors.Join(l.file.Truncate(0), l.file.Close())
}

// holder is the content of the owner's lock file.
type holder struct {
	PID     int       `json:"pid"`
	Command string    `json:"command"`
	Started time.Time `json:"started"`
}

// lockOwner makes this process the only one to use h.
func lockOwner(h home, command string) (*lockFile, error) {
	const op = "embedded.Start"
	lock, err := openLock(h.path("owner.lock"))
	if err != nil {
		return nil, fault.New(fault.Internal, op, err)
	}
	err = lock.tryLock()
	if errors.Is(err, errBusy) {
		return nil, fault.New(fault.Conflict, op, errors.Join(heldBy(h, lock), lock.file.Close()))
	}
	if err == nil {
		err = lock.write(holder{PID: os.Getpid(), Command: command, Started: time.Now().UTC().Truncate(time.Second)})
	}
	if err != nil {
		return nil, fault.New(fault.Internal, op, errors.Join(err, lock.file.Close()))
	}
	return lock, nil
}

// heldBy says who holds h and what a person can do about it.
func heldBy(h home, lock *lockFile) error {
	who := "another process"
	var by holder
	if err := lock.read(&by); err == nil {
		who = fmt.Sprintf("process %d (%s), since %s", by.PID, by.Command, by.Started.Format(time.RFC3339))
	}
	return fmt.Errorf("%s is in use by %s: wait for it to end, or set redis.url to a Redis that both can share", h.dir, who)
}
