package doctor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/segue-audio/segue/internal/fault"
)

// How little room is little, in bytes.
const (
	roomLittle = 1 << 30
	roomNone   = 100 << 20
)

// Disk is where Segue keeps files.
type Disk struct {
	// Archive is the directory of results. It is empty when they are kept
	// Elsewhere, which is no directory; Unusable is then why that cannot be.
	Archive, Elsewhere string
	Unusable           error
	// Tried says that something was stored Elsewhere, to see whether it can be.
	Tried bool
	// Staging is the bucket by way of which local files get to providers, empty where
	// there is none; Unstaged is why that cannot be.
	Staging  string
	Unstaged error
	// State is the state directory.
	State string
	// Free says how many bytes a directory's file system has left for us; nil asks
	// the system. It may answer errors.ErrUnsupported.
	Free func(dir string) (uint64, error)
}

// Examine looks at both directories: whether they can be written, how much room is
// left, and who else may write to the state.
func (d Disk) Examine() []Finding {
	var c chart
	if d.Free == nil {
		d.Free = freeSpace
	}
	switch {
	case d.Archive != "":
		d.directory("disk.archive", "archive.url", d.Archive, &c)
	case d.Unusable != nil:
		c.add(Error, "disk.archive", "put archive.url and s3 right (segue config print shows where they come from)", "results cannot be kept in %s: %s", d.Elsewhere, fault.Reason(d.Unusable))
	case d.Tried:
		c.ok("disk.archive", "results can be stored in %s", d.Elsewhere)
	default:
		c.add(Note, "disk.archive", "", "results are kept in %s, which was not looked at", d.Elsewhere)
	}
	switch {
	case d.Staging == "":
	case d.Unstaged != nil:
		c.add(Error, "disk.staging", "put staging.url and s3 right (segue config print shows where they come from)", "local files cannot be staged in %s: %s", d.Staging, fault.Reason(d.Unstaged))
	default:
		c.ok("disk.staging", "local files can be staged in %s", d.Staging)
	}
	d.directory("disk.state", "state_dir", d.State, &c)
	private(d.State, &c)
	return c.findings
}

// directory judges one; what is not there is judged by where it would be made.
func (d Disk) directory(check, setting, dir string, c *chart) {
	at, err := standing(dir)
	if err != nil {
		c.add(Error, check, setting+": a directory that can be made, or mount it here", "%s (%s) cannot be made: %s", dir, setting, bare(err))
		return
	}
	if err := try(at); err != nil {
		c.add(Error, check, "chown or chmod it for the user that runs segue, or set "+setting, "%s (%s) cannot be written: %s", at, setting, bare(err))
		return
	}
	text := dir + " can be written"
	if at != dir {
		text = dir + " is not there yet, and can be made"
	}
	free, err := d.Free(at)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		c.ok(check, "%s", text)
	case err != nil:
		c.unknown(check, "the room in "+dir, bare(err))
	case free < roomNone:
		c.add(Error, check, "make room, or set "+setting, "%s, but only %s are left", text, size(int64(free)))
	case free < roomLittle:
		c.add(Warning, check, "make room, or set "+setting, "%s, but only %s are left", text, size(int64(free)))
	default:
		c.ok(check, "%s, %s left", text, size(int64(free)))
	}
}

// standing gives the directory, or the nearest one above it that is there.
func standing(dir string) (string, error) {
	for {
		about, err := os.Stat(dir)
		switch {
		case err == nil && !about.IsDir():
			return "", errors.New(dir + " is not a directory")
		case err == nil:
			return dir, nil
		case !errors.Is(err, fs.ErrNotExist) || filepath.Dir(dir) == dir:
			return "", err
		}
		dir = filepath.Dir(dir)
	}
}

// try writes a file and takes it away again: permissions alone do not tell about
// a disk that is mounted read-only, or full.
func try(dir string) error {
	file, err := os.CreateTemp(dir, ".segue-doctor-*")
	if err != nil {
		return err
	}
	_, err = file.WriteString("written by segue doctor\n")
	return errors.Join(err, file.Close(), os.Remove(file.Name()))
}

// private judges who else may write to the state: whoever can put another folder
// there decides what was paid for.
func private(dir string, c *chart) {
	about, err := os.Stat(dir)
	if err != nil {
		return // not there yet, or said above
	}
	switch mode := about.Mode().Perm(); {
	case mode&0o002 != 0 && about.Mode()&os.ModeSticky == 0:
		c.add(Error, "disk.permissions", "chmod o-w "+dir, "everybody on this machine may replace what is in %s (mode %04o)", dir, mode)
	case mode&0o020 != 0:
		c.add(Warning, "disk.permissions", "chmod g-w "+dir, "a whole group may replace what is in %s (mode %04o)", dir, mode)
	default:
		c.ok("disk.permissions", "nobody else may write to %s (mode %04o)", dir, mode)
	}
}

// bare is a file error without its path, which the sentence names already.
func bare(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}
