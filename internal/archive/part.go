package archive

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

const (
	// slots is how many may download one track at once. Usually it is one; a
	// second is the successor of a worker that was given up for dead and is not.
	slots = 4
	// saveEvery bounds what a power cut costs.
	saveEvery = 32 << 20
	busyWait  = 30 * time.Second
)

var errBusy = errors.New("locked by another")

// part is a download on its way. Its file is locked while it is open, so that no
// two writers ever share one, and whoever finds it unlocked may go on with it: a
// lock dies with its process, and never with a worker that is only slow.
type part struct {
	tree *tree
	name string
	file *os.File
	// lasting says that the file has a name under which others find it.
	lasting bool
	// filed says that the bytes are in the archive.
	filed   bool
	size    int64
	unsaved int64
	mark    mark
	// restarts counts how often the bytes turned out to be of another file.
	restarts int
}

// mark says what a part is a part of. It is stored beside it, without the URL.
type mark struct {
	source
	// ETag and LastModified are the server's, kept only where they are strong
	// enough for If-Range; without either a part cannot be resumed.
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"lastModified,omitempty"`
	// Length is the whole file's, -1 when the server did not say.
	Length int64 `json:"length"`
	// Saved is how many bytes are surely on the disk: what a crash may have left
	// behind them is not counted upon.
	Saved int64 `json:"saved"`
}

// source identifies what is downloaded, by digests: a URL opens the file for
// whoever reads it.
type source struct {
	// Track is Want.Key, or the whole URL where there is no key.
	Track string `json:"track"`
	// Origin is the URL without its query: what is left of it when it is signed
	// anew, though not of every server's.
	Origin string `json:"origin"`
}

// continues reports whether bytes that m describes may begin a download of s.
// Another track may lie at the same origin, so that there the server must tell,
// by a tag that is its file's alone.
func (m mark) continues(s source) bool {
	sameOrigin := m.Origin == s.Origin
	if m.Track == s.Track {
		return m.Saved == m.Length || m.ETag != "" || sameOrigin && m.LastModified != ""
	}
	return sameOrigin && m.ETag != "" && m.Saved != m.Length
}

// resumable reports whether a server can tell that it still has the same bytes.
func (m mark) resumable() bool { return m.ETag != "" || m.LastModified != "" }

// part opens the first download of this name that nobody is writing, or a new one.
func (t *tree) part(name string, s source) (*part, error) {
	stem := path.Join(partsDir, name)
	if err := t.mkdirFor(stem); err != nil {
		return nil, t.fault(err)
	}
	for slot := 1; slot <= slots; slot++ {
		p, err := t.claim(stem + "." + strconv.Itoa(slot) + ".part")
		switch {
		case err == nil:
			return p.adopt(s)
		case errors.Is(err, errBusy):
			continue
		case errors.Is(err, errors.ErrUnsupported):
			return t.ownPart(stem)
		}
		return nil, t.fault(err)
	}
	busy := failed(fault.Conflict, keepOp, fmt.Errorf("%d others are downloading this track", slots))
	busy.RetryAfter = busyWait
	return nil, busy
}

// claim opens and locks a part. It returns errBusy when another has it, and
// errors.ErrUnsupported when files cannot be locked here.
func (t *tree) claim(name string) (*part, error) {
	for {
		file, err := t.root.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return nil, err
		}
		p, err := t.verify(name, file)
		if p != nil {
			return p, nil
		}
		if err := errors.Join(err, file.Close()); err != nil {
			return nil, err
		}
	}
}

// verify locks the file and makes sure that it is still what its name means: its
// last writer may have filed it between our opening and our locking it. It
// returns neither a part nor an error when the name is to be opened again.
func (t *tree) verify(name string, file *os.File) (*part, error) {
	err := tryLock(file)
	if errors.Is(err, errBusy) {
		return nil, err
	}
	if err != nil {
		return nil, errors.Join(errors.ErrUnsupported, t.remove(name))
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	named, err := t.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(info, named) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// Its writer died after filing it: it is the archive's now, not to be written.
	if isShared(info) {
		return nil, t.remove(name)
	}
	return &part{tree: t, name: name, file: file, lasting: true, size: info.Size()}, nil
}

// ownPart makes a part under a name that nobody else uses.
func (t *tree) ownPart(stem string) (*part, error) {
	name := stem + "." + rand.Text()[:8] + ".part"
	file, err := t.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
	if err != nil {
		return nil, t.fault(err)
	}
	return &part{tree: t, name: name, file: file, mark: mark{Length: -1}}, nil
}

// adopt goes on with what an earlier attempt left, as far as it is of the same
// source and surely on the disk.
func (p *part) adopt(s source) (*part, error) {
	var m mark
	p.mark.source = s
	usable := p.tree.readJSON(p.markName(), &m) && m.Saved > 0 && m.Saved <= p.size && m.continues(s)
	resume := p.reset
	if usable {
		resume = func() error {
			p.mark = m
			p.mark.source = s
			return p.cutTo(m.Saved)
		}
	}
	if err := resume(); err != nil {
		return nil, errors.Join(err, p.file.Close())
	}
	return p, nil
}

// complete reports whether all bytes that the server announced are here.
func (p *part) complete() bool { return p.size > 0 && p.size == p.mark.Length }

// begin empties the part for a new body that m describes.
func (p *part) begin(m mark) error {
	if err := p.reset(); err != nil {
		return err
	}
	m.source = p.mark.source
	p.mark = m
	return nil
}

// reset forgets all bytes. The mark goes first: it must never describe others.
func (p *part) reset() error {
	if err := p.tree.remove(p.markName()); err != nil {
		return p.tree.fault(err)
	}
	p.mark = mark{source: p.mark.source, Length: -1}
	return p.cutTo(0)
}

func (p *part) cutTo(size int64) error {
	err := p.file.Truncate(size)
	if err == nil {
		_, err = p.file.Seek(size, io.SeekStart)
	}
	if err != nil {
		return p.tree.fault(err)
	}
	p.size, p.unsaved = size, 0
	return nil
}

// Write appends, and saves now and then.
func (p *part) Write(chunk []byte) (int, error) {
	n, err := p.file.Write(chunk)
	p.size += int64(n)
	p.unsaved += int64(n)
	if err == nil && p.unsaved >= saveEvery {
		err = p.save()
	}
	if err != nil {
		return n, p.tree.fault(err)
	}
	return n, nil
}

// save makes durable what is here and says so beside it.
func (p *part) save() error {
	if err := p.file.Sync(); err != nil {
		return err
	}
	p.unsaved = 0
	if !p.lasting {
		return nil
	}
	p.mark.Saved = p.size
	return p.tree.note(p.markName(), p.mark)
}

// close leaves the part for the next attempt, or removes it when that could do
// nothing with it.
func (p *part) close() error {
	useful := p.lasting && p.size > 0 && (p.mark.resumable() || p.complete())
	if useful && !p.filed {
		return errors.Join(p.save(), p.file.Close())
	}
	return errors.Join(p.remove(), p.file.Close())
}

// remove takes the part's names away. The file itself stays locked until it is
// closed, so nobody finds it half removed.
func (p *part) remove() error {
	return errors.Join(p.tree.remove(p.markName()), p.tree.remove(p.taggedName()), p.tree.remove(p.name))
}

func (p *part) markName() string { return p.name + ".json" }

// taggedName is where a copy with tags is made. Whoever has the part has it too.
func (p *part) taggedName() string { return p.name + ".tagged" }

// clean removes parts of a name that nobody is writing: what is left when a
// writer died after the track was filed, or lost a race for it.
func (t *tree) clean(name string) error {
	stem := path.Join(partsDir, name)
	var findings []error
	for slot := 1; slot <= slots; slot++ {
		file := stem + "." + strconv.Itoa(slot) + ".part"
		if _, err := t.root.Lstat(file); err != nil {
			continue
		}
		p, err := t.claim(file)
		if err == nil {
			findings = append(findings, p.remove(), p.file.Close())
		} else if !errors.Is(err, errBusy) {
			findings = append(findings, err)
		}
	}
	return errors.Join(findings...)
}
