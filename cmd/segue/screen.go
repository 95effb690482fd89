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
	out  io.Writer
	bars *mpb.Progress // nil when not on a terminal

	closing sync.Once
	started time.Time
	probe   *mpb.Bar
	total   *mpb.Bar
	files   map[int]*mpb.Bar
	labels  sync.Map // index → words; the bars read it from their own goroutine
	seen    string
	notes   map[int]string
	reasons map[string]bool
	said    map[string]bool
	// wanting is why files wait for credits; explained says that it was said.
	wanting   string
	explained bool
	// asked is when it was asked last what files wait for, waitsFor what it was.
	asked    time.Time
	waitsFor string
	// dir is what all the files' names begin with, and bars leave out.
	dir string
}

// wholeSession is the index of the session's own label.
const wholeSession = -1

func (a *app) screen() *screen {
	s := &screen{
		out: a.stderr, started: time.Now(),
		files: map[int]*mpb.Bar{}, notes: map[int]string{}, reasons: map[string]bool{}, said: map[string]bool{},
	}
	if a.terminal {
		s.bars = mpb.New(mpb.WithOutput(a.stderr), mpb.WithWidth(40), mpb.WithRefreshRate(120*time.Millisecond))
	}
	return s
}

// Write writes above the bars.
func (s *screen) Write(p []byte) (int, error) {
	if s.bars != nil {
		// Ctrl-C leaves a ^C where the terminal stands.
		if _, err := s.bars.Write(append([]byte{'\r'}, p...)); err == nil {
			return len(p), nil
		}
	}
	return s.out.Write(p)
}

// say writes one line.
func (s *screen) say(format string, args ...any) {
	fmt.Fprintln(s, inLine(fmt.Sprintf(format, args...)))
}

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

// watch shows a session until nothing of it moves by itself any more, and, if it
// is asked to, until workers have done what follows a session's end.
func (a *app) watch(ctx context.Context, sys *system, id string, screen *screen, settled bool) error {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	last := time.Time{}
	for {
		current, err := sys.store.Session(ctx, id)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case fault.CodeOf(err) == fault.Unavailable:
			screen.note(wholeSession, "redis does not answer; waiting for it")
		case err != nil:
			return err
		default:
			if time.Since(last) >= linesEvery || screen.bars != nil || current.Status().Over() || current.Total <= maxFiles {
				last = time.Now()
				if err := screen.show(ctx, sys, current); err != nil && ctx.Err() == nil {
					return err
				}
			}
			if current.Status().Over() && (!settled || current.Completions == current.Settled) {
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
	if current.Total > maxFiles {
		s.showTotal(current)
		s.line(current, current.Tally())
		return s.sample(ctx, sys, current)
	}
	items := make([]*session.Item, 0, current.Total)
	err := sys.store.Each(ctx, current.ID, 0, 0, func(it *session.Item) error {
		items = append(items, it)
		return nil
	})
	if err != nil {
		return err
	}
	waiting, steps := unpaidOf(items)
	if err := s.explain(ctx, sys, current, waiting, steps); err != nil {
		return err
	}
	s.showItems(items)
	s.showTotal(current)
	return nil
}

// explain says for all files together what those that were refused wait for.
func (s *screen) explain(ctx context.Context, sys *system, current *session.Session, waiting int, steps map[session.StepName]bool) error {
	poor, err := s.credits(ctx, sys, current, waiting, steps)
	if err != nil {
		return err
	}
	turns := false
	if !poor {
		turns, err = s.turns(ctx, sys, current, waiting > 0)
	}
	s.explained = poor || turns
	return err
}

func (s *screen) showItems(items []*session.Item) {
	if s.dir == "" {
		names := make([]string, len(items))
		for n, it := range items {
			names[n] = it.Source.Name
		}
		s.dir = commonDir(names)
	}
	for _, it := range items {
		s.showItem(it)
	}
}

// bar adds a bar. All bars are of one width: what stands beside them is aligned.
func (s *screen) bar(index, priority, total int, name string) *mpb.Bar {
	return s.bars.AddBar(int64(total), mpb.BarPriority(priority),
		mpb.PrependDecorators(decor.Name(short(inLine(name), 32), decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			text, _ := s.labels.Load(index)
			return fmt.Sprint(text)
		}, decor.WCSyncSpaceR)))
}

// showTotal shows the session's own bar, whose parts are steps, not files: it
// moves as long as anything does.
func (s *screen) showTotal(current *session.Session) {
	if s.bars == nil {
		return
	}
	all, done := wayOf(current)
	tally, spent := current.Tally(), time.Since(s.started)
	s.labels.Store(wholeSession, fmt.Sprintf("%d/%s %s", tally.Total-tally.Waiting, plural(tally.Total, "file"), length(spent.Seconds())))
	if s.total == nil {
		s.total = s.bar(wholeSession, 1<<20, all, "session")
	}
	s.total.SetTotal(int64(all), false)
	s.total.SetCurrent(int64(done))
}

// wayOf is how long a session's way is, in quarters of steps, and how much of it
// is behind. It is known from the counts alone, for any number of items.
func wayOf(current *session.Session) (all, done int) {
	extends := current.Params != nil
	for label := range current.Counts {
		extends = extends || strings.HasPrefix(label, string(session.StepExtend)) || strings.HasPrefix(label, string(session.StepFetch))
	}
	plan := session.PlanFor(extends)
	all = max(4*len(plan)*current.Total, 1)
	for label, n := range current.Counts {
		step, state, under := strings.Cut(label, ".")
		if !under {
			done += n * 4 * len(plan) // it has ended, well or not
			continue
		}
		done += n * quarters(&session.Item{Plan: plan, Step: session.StepName(step), State: session.State(state)})
	}
	return all, done
}

// sampleSize is how many of many files are asked why they wait.
const sampleSize = 500

// sample says why files of a large session wait longer than usual, each reason
// once: what one of them waits for, most of the others do too.
func (s *screen) sample(ctx context.Context, sys *system, current *session.Session) error {
	var troubled []*session.Item
	err := sys.store.Each(ctx, current.ID, 0, sampleSize, func(it *session.Item) error {
		if it.Failure != nil && !it.State.Ended() {
			troubled = append(troubled, it)
		}
		return nil
	})
	if err != nil {
		return err
	}
	waiting, steps := unpaidOf(troubled)
	if waiting > 0 { // then all do that wait their turn
		waiting = queuedOf(current)
	}
	if err := s.explain(ctx, sys, current, waiting, steps); err != nil {
		return err
	}
	for _, it := range troubled {
		if s.reasons[it.Failure.Reason] || (s.explained && unpaid(it)) {
			continue
		}
		s.reasons[it.Failure.Reason] = true
		s.say("%s waits, and others may: %s", it.Source.Name, it.Failure.Reason)
	}
	return nil
}

// line says in one line where many files are.
func (s *screen) line(current *session.Session, tally session.Tally) {
	if s.bars != nil {
		return
	}
	parts := []string{fmt.Sprintf("%d of %d files done: %d succeeded, %d failed, %d held, %d canceled",
		tally.Total-tally.Waiting, tally.Total, tally.Succeeded, tally.Failed, tally.Held, tally.Canceled)}
	for _, step := range []session.StepName{session.StepUpload, session.StepExtend, session.StepFetch} {
		n := 0
		for label, count := range current.Counts {
			if name, state, _ := strings.Cut(label, "."); name == string(step) && session.State(state) != session.Held {
				n += count
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d at %s", n, step))
		}
	}
	line := strings.Join(parts, "; ")
	if line != s.seen {
		s.say("%s", line)
		s.seen = line
	}
}

// showItem shows one file: a bar of its own, or a line when it moved.
func (s *screen) showItem(it *session.Item) {
	label := it.Label()
	if s.bars == nil {
		switch why := trouble(it); {
		case why == "" || (s.explained && unpaid(it)):
		case unpaid(it) && it.Updated.Before(s.started): // of an earlier command: it is tried anew
		case unpaid(it):
			s.once(why) // what one is refused for, the others are too
		default:
			s.note(it.Index, it.Source.Name+": "+why)
		}
		if before, _ := s.labels.Swap(it.Index, label); before != label && worthALine(it) {
			s.say("%s: %s", it.Source.Name, words(it))
		}
		return
	}
	s.labels.Store(it.Index, shortEnd(words(it), maxWords))
	switch why := trouble(it); {
	case why == "":
	case s.explained && unpaid(it):
		s.labels.Store(it.Index, string(it.Step)+": waiting "+map[bool]string{true: "for credits", false: "its turn"}[s.wanting != ""])
	default:
		s.labels.Store(it.Index, string(it.Step)+": will try again")
		s.once(why)
	}
	bar := s.files[it.Index]
	if bar == nil {
		bar = s.bar(it.Index, it.Index, 4*len(it.Plan), strings.TrimPrefix(it.Source.Name, s.dir))
		s.files[it.Index] = bar
	}
	bar.SetCurrent(int64(quarters(it)))
}

// maxWords is the room beside a bar; the table at the end has the whole text.
const maxWords = 36

// trouble says what an item waits for that should not have happened; empty when
// nothing is wrong.
func trouble(it *session.Item) string {
	if it.Failure == nil || it.State.Ended() || it.State.InDoubt() {
		return ""
	}
	return string(it.Step) + " will be tried again by itself: " + it.Failure.Reason
}

// worthALine: a state that lasts long enough to be seen.
func worthALine(it *session.Item) bool {
	return it.State == session.Waiting || it.State.InDoubt() || it.State.Ended()
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
	case session.Reconciling:
		return string(it.Step) + ": no answer; looking for what became of it"
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

// quarters is how far an item is, four for each step of its plan. One that failed
// stays where it came to.
func quarters(it *session.Item) int {
	if it.State == session.Succeeded {
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
	case session.Sending, session.Running, session.Reconciling:
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

// once says what concerns many files alike, and says it once.
func (s *screen) once(text string) {
	if !s.said[text] {
		s.said[text] = true
		s.say("%s", text)
	}
}

// shortEnd shortens a sentence.
func shortEnd(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	return string(runes[:width-1]) + "…"
}

// short shortens a name from its left, where paths are alike.
func short(name string, width int) string {
	runes := []rune(name)
	if len(runes) <= width {
		return name
	}
	return "…" + string(runes[len(runes)-width+1:])
}
