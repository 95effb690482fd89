package embedded

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// snapshotHead is the first line of the file. Each line behind it is an entry.
// The count tells a whole file from a cut one.
type snapshotHead struct {
	Format string `json:"format"`
	Keys   int    `json:"keys"`
}

const snapshotFormat = "segue-redis-1"

// jitter is how far two dumps may disagree about the deadline of a key that
// nobody touched: lives are counted in steps.
const jitter = 1500 * time.Millisecond

// snapshotFile is the stand-in's file: always a whole state, the old one or
// the new one, however the process or the machine ends.
type snapshotFile struct {
	path string
	// What the file holds, so that an unchanged state is not written again.
	written   [sha256.Size]byte
	deadlines map[string]int64
}

func newSnapshotFile(h home) *snapshotFile {
	return &snapshotFile{path: h.path("volatile.jsonl")}
}

// write replaces the file, if entries differ from what it holds.
func (f *snapshotFile) write(entries []entry) error {
	f.steady(entries)
	text, err := encodeSnapshot(entries)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	if sum == f.written {
		return nil
	}
	if err := replaceFile(f.path, text); err != nil {
		return err
	}
	f.written = sum
	return nil
}

// steady keeps the deadlines of the last dump where the new ones differ by no
// more than the clock's steps.
func (f *snapshotFile) steady(entries []entry) {
	deadlines := make(map[string]int64)
	for i := range entries {
		e := &entries[i]
		if e.Deadline == 0 {
			continue
		}
		before, known := f.deadlines[string(e.Key)]
		if off := e.Deadline - before; known && max(off, -off) <= jitter.Milliseconds() {
			e.Deadline = before
		}
		deadlines[string(e.Key)] = e.Deadline
	}
	f.deadlines = deadlines
}

func encodeSnapshot(entries []entry) ([]byte, error) {
	var text bytes.Buffer
	to := json.NewEncoder(&text)
	if err := to.Encode(snapshotHead{Format: snapshotFormat, Keys: len(entries)}); err != nil {
		return nil, err
	}
	for _, e := range entries {
		if err := to.Encode(e); err != nil {
			return nil, err
		}
	}
	return text.Bytes(), nil
}

// replaceFile writes path so that a crash at any point leaves the old content
// or the new one.
func replaceFile(path string, text []byte) error {
	next := path + ".next"
	file, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes a rename in it permanent.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// read gives the keys of the file that have not ended by now. Without a file
// it returns fs.ErrNotExist; a damaged one is fault.Malformed, because to begin
// empty beside it would forget what was paid for.
func (f *snapshotFile) read(now time.Time) ([]entry, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	entries, err := decodeSnapshot(bufio.NewReader(file), now)
	if err != nil {
		return nil, fault.New(fault.Malformed, "embedded.Start", fmt.Errorf("%s: %w", f.path, err))
	}
	return entries, nil
}

func decodeSnapshot(text io.Reader, now time.Time) ([]entry, error) {
	from := json.NewDecoder(text)
	var head snapshotHead
	if err := from.Decode(&head); err != nil {
		return nil, err
	}
	if head.Format != snapshotFormat {
		return nil, fmt.Errorf("format %q, not %q", head.Format, snapshotFormat)
	}
	var entries []entry
	for range head.Keys {
		var e entry
		if err := from.Decode(&e); err != nil {
			return nil, err
		}
		if err := e.check(); err != nil {
			return nil, err
		}
		if e.Deadline == 0 || e.Deadline > now.UnixMilli() {
			entries = append(entries, e)
		}
	}
	return entries, nil
}

// importSnapshot moves what the stand-in has kept into the server at socket,
// for the day on which somebody installed one. The file is renamed only when
// everything is in; until then nothing else has written to the server, so a
// move that was cut short begins again.
func importSnapshot(ctx context.Context, h home, socket string, log *slog.Logger) error {
	const op = "embedded.Start"
	file := newSnapshotFile(h)
	entries, err := file.read(time.Now())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	client := localClient(func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	})
	err = errors.Join(restore(ctx, client, entries), client.Close())
	if err == nil {
		err = errors.Join(os.Rename(file.path, file.path+".imported"), syncFolder(h.dir))
	}
	if err != nil {
		return fault.New(fault.Internal, op, err)
	}
	log.LogAttrs(ctx, slog.LevelInfo, "the embedded Redis now keeps what the volatile one held", slog.Int("keys", len(entries)))
	return nil
}
