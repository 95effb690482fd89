package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
)

// screen shows words and progress on stderr: bars where a person watches, plain
// lines elsewhere. Log lines written to it go above the bars.
type screen struct {
	out      io.Writer
	bars     *mpb.Progress // nil when not on a terminal
	terminal bool

	closing sync.Once
	probe   *mpb.Bar
	total   *mpb.Bar
	files   map[int]*mpb.Bar
	labels  sync.Map // index → words; the bars read it from their own goroutine
	seen    string
	notes   map[int]string
}

func (a *app) screen() *screen {
	s := &screen{out: a.stderr, terminal: a.terminal, files: map[int]*mpb.Bar{}, notes: map[int]string{}}
	if a.terminal {
		s.bars = mpb.New(mpb.WithOutput(a.stderr), mpb.WithWidth(40), mpb.WithRefreshRate(120*time.Millisecond))
	}
	return s
}

// Write writes above the bars.
func (s *screen) Write(p []byte) (int, error) {
	if s.bars != nil {
		if n, err := s.bars.Write(p); err == nil {
			return n, nil
		}
	}
	return s.out.Write(p)
}

// say writes one line.
func (s *screen) say(format string, args ...any) { fmt.Fprintf(s, format+"\n", args...) }

// close leaves the bars as they are.
func (s *screen) close() {
	s.closing.Do(func() {
		if s.bars == nil {
			return
		}
		for _, bar := range s.files {
			bar.Abort(false)
		}
		for _, bar := range []*mpb.Bar{s.probe, s.total} {
			if bar != nil {
				bar.Abort(false)
			}
		}
		s.bars.Wait()
	})
}

// probing shows how many files have been looked at.
func (s *screen) probing(done, total int) {
	if s.bars == nil || total < 20 {
		return
	}
	if s.probe == nil {
		s.probe = s.bars.AddBar(int64(total), mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Name("reading files ")), mpb.AppendDecorators(decor.CountersNoUnit("%d/%d")))
	}
	s.probe.SetCurrent(int64(done))
}

func (s *screen) probed() {
	if s.probe != nil {
		s.probe.Abort(true)
		s.probe = nil
	}
}

const (
	// watchEvery is how often the progress is read.
	watchEvery = 250 * time.Millisecond
	// maxFiles is how many files have a bar, or a line for each change, of their own.
	maxFiles = 40
	// linesEvery is how often many files get one line together.
	linesEvery = 5 * time.Second
)

// watch shows a session until nothing of it moves by itself any more.
func (a *app) watch(ctx context.Context, sys *system, id string, screen *screen) error {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	last := time.Time{}
	for {
		current, err := sys.store.Session(ctx, id)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case fault.CodeOf(err) == fault.Unavailable:
			screen.note(-1, "redis does not answer; waiting for it")
		case err != nil:
			return err
		default:
			if time.Since(last) >= linesEvery || screen.bars != nil || current.Status().Over() || current.Total <= maxFiles {
				last = time.Now()
				if err := screen.show(ctx, sys, current); err != nil && ctx.Err() == nil {
					return err
				}
			}
			if current.Status().Over() && current.Completions == current.Settled {
				return nil
			}
			if current.Status() == session.StatusHeld {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// show shows a session as it stands.
func (s *screen) show(ctx context.Context, sys *system, current *session.Session) error {
	tally := current.Tally()
	if s.bars != nil {
		s.showTotal(current, tally)
	}
	if current.Total > maxFiles {
		s.line(current, tally)
		return nil
	}
	return sys.store.Each(ctx, current.ID, 0, 0, func(it *session.Item) error {
		s.showItem(it)
		return nil
	})
}

func (s *screen) showTotal(current *session.Session, tally session.Tally) {
	if s.total == nil {
		s.total = s.bars.AddBar(int64(current.Total), mpb.BarPriority(1<<20),
			mpb.PrependDecorators(decor.Name("session ", decor.WC{W: 34, C: decor.DindentRight})),
			mpb.AppendDecorators(decor.CountersNoUnit("%d/%d files "), decor.Elapsed(decor.ET_STYLE_MMSS)))
	}
	s.total.SetCurrent(int64(tally.Total - tally.Waiting))
}

// line says in one line where many files are.
func (s *screen) line(current *session.Session, tally session.Tally) {
	if s.bars != nil {
		return
	}
	line := fmt.Sprintf("%d of %d files done: %d succeeded, %d failed, %d held, %d canceled",
		tally.Total-tally.Waiting, tally.Total, tally.Succeeded, tally.Failed, tally.Held, tally.Canceled)
	for _, step := range []session.StepName{session.StepUpload, session.StepExtend, session.StepFetch} {
		n := 0
		for label, count := range current.Counts {
			if name, state, _ := strings.Cut(label, "."); name == string(step) && session.State(state) != session.Held {
				n += count
			}
		}
		if n > 0 {
			line += fmt.Sprintf("; %d at %s", n, step)
		}
	}
	if line != s.seen {
		s.say("%s", line)
		s.seen = line
	}
}

// showItem shows one file: a bar of its own, or a line when it moved.
func (s *screen) showItem(it *session.Item) {
	label := it.Label()
	if it.Failure != nil && !it.State.Ended() && it.State != session.Held {
		s.note(it.Index, fmt.Sprintf("%s: waiting: %s", it.Source.Name, it.Failure.Reason))
	}
	if s.bars == nil {
		if before, _ := s.labels.Swap(it.Index, label); before != label && worthALine(it) {
			s.say("%s: %s", it.Source.Name, words(it))
		}
		return
	}
	s.labels.Store(it.Index, words(it))
	bar := s.files[it.Index]
	if bar == nil {
		index := it.Index
		bar = s.bars.AddBar(int64(4*len(it.Plan)), mpb.BarPriority(index),
			mpb.PrependDecorators(decor.Name(short(it.Source.Name, 32)+" ", decor.WC{W: 34, C: decor.DindentRight})),
			mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
				text, _ := s.labels.Load(index)
				return text.(string)
			})))
		s.files[it.Index] = bar
	}
	bar.SetCurrent(int64(quarters(it)))
}

// worthALine: a state that lasts long enough to be seen.
func worthALine(it *session.Item) bool {
	return it.State == session.Waiting || it.State == session.Held || it.State.Ended()
}

// words say where an item is.
func words(it *session.Item) string {
	switch it.State {
	case session.Queued:
		return string(it.Step) + ": waiting its turn"
	case session.Sending, session.Running:
		return string(it.Step) + ": under way"
	case session.Waiting:
		return string(it.Step) + ": the provider is at it"
	case session.Succeeded:
		return "done"
	case session.Held:
		return "HELD: " + it.Failure.Reason
	case session.Failed:
		return "FAILED: " + it.Failure.Reason
	case session.Canceled:
		return "canceled"
	}
	return it.Label()
}

// quarters is how far an item is, four for each step of its plan.
func quarters(it *session.Item) int {
	if it.State.Ended() {
		return 4 * len(it.Plan)
	}
	done := 0
	for _, step := range it.Plan {
		if step == it.Step {
			break
		}
		done += 4
	}
	switch it.State {
	case session.Sending, session.Running:
		done++
	case session.Waiting:
		done += 2
	case session.Queued, session.Held, session.Succeeded, session.Failed, session.Canceled:
	}
	return done
}

// note says something about a file once.
func (s *screen) note(index int, text string) {
	if s.notes[index] == text {
		return
	}
	s.notes[index] = text
	s.say("%s", text)
}

// short shortens a name from its left, where paths are alike.
func short(name string, width int) string {
	runes := []rune(name)
	if len(runes) <= width {
		return name
	}
	return "…" + string(runes[len(runes)-width+1:])
}
