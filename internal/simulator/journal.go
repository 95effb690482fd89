package simulator

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// event is one change of the state: one line of the journal. The state changes
// by applying events and in no other way, so what a restarted simulator reads
// back is what it was. Exactly one of the pointers is set, except that an
// operation comes with its charge: they are one line because being accepted and
// being billed must not be torn apart by a crash.
type event struct {
	Time      time.Time  `json:"time"`
	Account   *account   `json:"account,omitempty"`
	Session   *session   `json:"session,omitempty"`
	Playlist  *playlist  `json:"playlist,omitempty"`
	Upload    *upload    `json:"upload,omitempty"`
	Operation *operation `json:"operation,omitempty"`
	Charge    *Charge    `json:"charge,omitempty"`
	Source    *source    `json:"source,omitempty"`
	// Refund, Seen and Fault name an operation: credits given back, its end
	// shown to the client, its answer spoiled.
	Refund string       `json:"refund,omitempty"`
	Seen   string       `json:"seen,omitempty"`
	Fault  *answerFault `json:"fault,omitempty"`
	// Listed is a session's aggregate shown to the client up to a count.
	Listed     *listed     `json:"listed,omitempty"`
	Downloaded *downloaded `json:"downloaded,omitempty"`
	Called     *called     `json:"called,omitempty"`
	Staged     *stagedFile `json:"staged,omitempty"`
	// Step is something that happened to an upload.
	Step *uploadStep `json:"step,omitempty"`
}

// source is what the provider's own download of an audio URL came to.
type source struct {
	Operation string        `json:"operation"`
	SHA256    string        `json:"sha256,omitempty"`
	Length    time.Duration `json:"length,omitempty"`
	FailCode  int           `json:"failCode,omitempty"`
	Reason    string        `json:"reason,omitempty"`
}

type answerFault struct {
	Operation string `json:"operation"`
	Kind      Kind   `json:"kind"`
}

type listed struct {
	Session string `json:"session"`
	Count   int    `json:"count"`
}

type downloaded struct {
	Operation string `json:"operation"`
	Track     int    `json:"track"`
}

var errUnknownOperation = errors.New("event about an unknown operation")

// apply changes the state by one event. It fails only on a journal that this
// package did not write.
func (st *state) apply(e *event) error {
	st.advance(e.Time)
	switch {
	case e.Account != nil:
		st.setAccount(e.Account)
	case e.Session != nil:
		st.made++
		st.sessions[e.Session.ID] = e.Session
	case e.Playlist != nil:
		st.made++
		st.playlists[e.Playlist.ID] = e.Playlist
	case e.Upload != nil:
		st.made++
		st.uploads[e.Upload.ID] = e.Upload
	case e.Step != nil:
		return st.step(e.Step, e.Time)
	case e.Staged != nil:
		st.made++
		st.stage(e.Staged)
	case e.Operation != nil && e.Charge != nil:
		return st.accept(e.Operation, e.Charge)
	case e.Listed != nil:
		return st.list(e.Listed, e.Time)
	default:
		return st.applyTo(e)
	}
	return nil
}

// applyTo handles the events about an operation that exists.
func (st *state) applyTo(e *event) error {
	var o *operation
	switch {
	case e.Source != nil:
		o = st.operations[e.Source.Operation]
	case e.Fault != nil:
		o = st.operations[e.Fault.Operation]
	case e.Downloaded != nil:
		o = st.operations[e.Downloaded.Operation]
	case e.Called != nil:
		o = st.operations[e.Called.Operation]
	default:
		o = st.operations[e.Refund+e.Seen]
	}
	if o == nil {
		return errUnknownOperation
	}
	switch {
	case e.Source != nil:
		st.resolve(o, e.Source, e.Time)
	case e.Fault != nil:
		st.charges[o.charge].Fault = e.Fault.Kind
	case e.Downloaded != nil && e.Downloaded.Track >= 0 && e.Downloaded.Track < o.Tracks:
		o.downloaded[e.Downloaded.Track] = true
	case e.Called != nil:
		o.called = append(o.called, e.Called.Kind)
		o.deaf = o.deaf || e.Called.Final && e.Called.Outcome == abandoned
	case e.Refund != "":
		st.charges[o.charge].Refunded = true
		st.accounts[o.Account].Credits += st.charges[o.charge].Credits
	case e.Seen != "":
		o.seen = e.Time
	}
	return nil
}

func (st *state) setAccount(a *account) {
	if known := st.accounts[a.Name]; known != nil {
		known.Credits = a.Credits
		return
	}
	st.accounts[a.Name] = a
}

func (st *state) accept(o *operation, c *Charge) error {
	a := st.accounts[o.Account]
	if a == nil || o.Tracks < 1 || o.Tracks > len(o.downloaded) {
		return fmt.Errorf("operation %s: no such account, or %d tracks", o.ID, o.Tracks)
	}
	st.made++
	a.Credits -= c.Credits
	a.charges = append(a.charges, len(st.charges))
	if c.Listed.After(a.behind) {
		a.behind = c.Listed
	}
	o.charge = len(st.charges)
	st.charges = append(st.charges, *c)
	st.operations[o.ID] = o
	st.running[o.Provider+"/"+o.Account]++
	for i := range o.Tracks {
		st.clips[o.clip(i)] = clipRef{o, i}
	}
	if o.AudioURL != "" {
		o.source = sourceWaiting
		return nil
	}
	o.finish = o.Created.Add(o.Took)
	heap.Push(&st.due, o)
	return nil
}

// resolve records what the audio of an operation is. The operation ends at its
// planned time, or now if the download took longer than that.
func (st *state) resolve(o *operation, found *source, at time.Time) {
	if o.source == sourceDone {
		return
	}
	o.source = sourceDone
	o.SHA256, o.Length = found.SHA256, found.Length
	st.charges[o.charge].AudioSHA256 = found.SHA256
	if found.FailCode != 0 {
		o.Fate, o.FailCode, o.Reason = fails, found.FailCode, found.Reason
	}
	o.finish = o.Created.Add(o.Took)
	if o.finish.Before(at) {
		o.finish = at
	}
	heap.Push(&st.due, o)
}

func (st *state) list(l *listed, at time.Time) error {
	se := st.sessions[l.Session]
	if se == nil || l.Count > len(se.members) {
		return fmt.Errorf("listing %d of session %s, which has fewer", l.Count, l.Session)
	}
	for ; se.listed < l.Count; se.listed++ {
		if o := se.members[se.listed]; o.seen.IsZero() {
			o.seen = at
		}
	}
	return nil
}

// journal appends events to a file. The zero value keeps nothing.
//
// Lines are written, not synced: they survive the death of the process, which
// is what a simulator is killed with, and not that of the machine.
type journal struct {
	file *os.File
}

// openJournal replays a file into st and opens it for appending. A last line
// without its end is what a kill in mid-write leaves: it is dropped, for
// nobody was told what it says.
func openJournal(path string, st *state) (journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return journal{}, fault.New(fault.Invalid, "simulator.New", err)
	}
	whole, err := replay(f, st)
	if err == nil {
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	if err != nil {
		return journal{}, errors.Join(fault.New(fault.Malformed, "simulator.New", err), f.Close())
	}
	return journal{file: f}, nil
}

// replay applies every complete line and gives the length of those lines.
func replay(r io.Reader, st *state) (int64, error) {
	in := bufio.NewReader(r)
	var whole int64
	for number := 1; ; number++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return whole, nil
		}
		if err != nil {
			return whole, err
		}
		var e event
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&e); err != nil {
			return whole, fmt.Errorf("journal line %d: %w", number, err)
		}
		if err := st.apply(&e); err != nil {
			return whole, fmt.Errorf("journal line %d: %w", number, err)
		}
		whole += int64(len(line))
	}
}

func (j journal) append(e *event) error {
	if j.file == nil {
		return nil
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = j.file.Write(append(line, '\n'))
	return err
}

// erase forgets everything.
func (j journal) erase() error {
	if j.file == nil {
		return nil
	}
	if err := j.file.Truncate(0); err != nil {
		return err
	}
	_, err := j.file.Seek(0, io.SeekStart)
	return err
}

func (j journal) close() error {
	if j.file == nil {
		return nil
	}
	if err := j.file.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
