package simulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// What a provider says about audio that it cannot use. 4001 and its text are
// MountSea's documented example; the other codes are invented next to it.
const (
	codeNotFound   = 4001
	codeNotAudio   = 4002
	codeOutOfRange = 4003
	codeNoClip     = 4004
	codeMixedClips = 4005
	codeTooLong    = 4006
	codeGeneration = 5001
	codeTimeout    = 5004
)

const maxSource = 512 << 20

// fetcher downloads sources in a bounded pool. Acceptance of an operation never
// waits for it: the queue is as long as it needs to be.
type fetcher struct {
	sim     *Simulator
	workers sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond
	queue   []download
	busy    int
}

// download belongs to the state it was queued for: after a reset its result is
// nobody's.
type download struct {
	state *state
	// Either an operation whose audio lies elsewhere, or an upload whose audio
	// lies in the storage.
	operation *operation
	upload    *upload
}

func newFetcher(s *Simulator) *fetcher {
	f := &fetcher{sim: s}
	f.changed = sync.NewCond(&f.mu)
	return f
}

func (f *fetcher) start(workers int) {
	context.AfterFunc(f.sim.closing, f.wake)
	for range workers {
		f.workers.Go(f.work)
	}
}

// wake makes every waiter look again. Taking the lock closes the gap between a
// waiter's look and its wait.
func (f *fetcher) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changed.Broadcast()
}

func (f *fetcher) add(d download) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue = append(f.queue, d)
	f.changed.Broadcast()
}

func (f *fetcher) pending() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.queue) + f.busy
}

func (f *fetcher) settle(ctx context.Context) error {
	stop := context.AfterFunc(ctx, f.wake)
	defer stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.queue)+f.busy > 0 && ctx.Err() == nil && f.sim.closing.Err() == nil {
		f.changed.Wait()
	}
	return context.Cause(ctx)
}

func (f *fetcher) wait() { f.workers.Wait() }

func (f *fetcher) work() {
	for {
		d, ok := f.next()
		if !ok {
			return
		}
		f.sim.download(d)
		f.mu.Lock()
		f.busy--
		f.changed.Broadcast()
		f.mu.Unlock()
	}
}

func (f *fetcher) next() (download, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.queue) == 0 && f.sim.closing.Err() == nil {
		f.changed.Wait()
	}
	if f.sim.closing.Err() != nil {
		return download{}, false
	}
	d := f.queue[0]
	f.queue[0] = download{}
	f.queue = f.queue[1:]
	f.busy++
	return d, true
}

// download finds out what an operation's audio is and records it. A simulator
// that closes meanwhile records nothing: the next start asks again.
func (s *Simulator) download(d download) {
	if d.upload != nil {
		s.look(d)
		return
	}
	s.mu.Lock()
	address := d.operation.AudioURL
	d.operation.source = sourceFetching
	s.mu.Unlock()
	found := source{Length: assumedLength}
	if !s.opts.NoFetch {
		found = s.inspect(s.closing, address)
	}
	found.Operation = d.operation.ID
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Err() != nil || s.state != d.state {
		return
	}
	if at := d.operation.ContinueAt; found.FailCode == 0 && at != nil && *at >= found.Length.Seconds() {
		found.FailCode, found.Reason = codeOutOfRange, "continue_at is beyond the end of the audio."
	}
	if most := d.operation.longest(); found.FailCode == 0 && most > 0 && found.Length > most && !s.opts.NoFetch {
		found.FailCode, found.Reason = codeTooLong, "The audio is too long."
	}
	now := s.now()
	s.advance(now)
	s.note(&event{Time: now, Source: &found})
	s.announce(d.operation)
}

// inspect downloads and probes one address.
func (s *Simulator) inspect(ctx context.Context, address string) source {
	gone := source{FailCode: codeNotFound, Reason: "Audio source not found."}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return gone
	}
	response, err := s.opts.HTTP.Do(request)
	if err != nil {
		return gone
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return gone
	}
	return examine(response.Body)
}

var errTooLong = fmt.Errorf("more than %d bytes", maxSource)

// examine says what a body is. A failing connection counts as "not found",
// since a provider cannot know what the rest would have been.
func examine(body io.Reader) source {
	whole := &tap{from: body}
	found, err := probe(whole)
	switch {
	case errors.Is(whole.err, errTooLong):
		return source{FailCode: codeNotAudio, Reason: "Audio file is too large."}
	case whole.err != nil:
		return source{FailCode: codeNotFound, Reason: "Audio source not found."}
	case err != nil:
		return source{FailCode: codeNotAudio, Reason: "Unsupported or damaged audio file."}
	}
	return found
}

// tap limits a body and remembers how reading it failed, since a probe may
// wrap or swallow that.
type tap struct {
	from io.Reader
	read int64
	err  error
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.from.Read(p)
	if t.read += int64(n); t.read > maxSource {
		err = errTooLong
	}
	if err != nil && !errors.Is(err, io.EOF) {
		t.err = err
	}
	return n, err
}
