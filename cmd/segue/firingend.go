package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/fault"
)

// invalid makes a refusal that a command would end with one that ends the firing. What
// was not a refusal stays what it is.
func invalid(err error) error {
	if refusal, ok := errors.AsType[*failure](err); ok {
		return fault.New(fault.Invalid, "segue.bulk", refusal.err)
	}
	return err
}

// submitting gives what the producer library says a code.
func submitting(err error) error {
	if errors.Is(err, enqueue.ErrInvalid) {
		return fault.New(fault.Invalid, "segue.bulk", err)
	}
	return err
}

// refused decides about a firing that cannot go on: it is tried again unless that can
// never help, or has not helped for long.
func (c *carrier) refused(ctx context.Context, cause error) error {
	if code := fault.CodeOf(cause); code == fault.Canceled || ctx.Err() != nil {
		return cause
	} else if code != fault.Invalid {
		now, err := c.store.Now(ctx)
		if err != nil || now.Sub(c.Decided) < c.cfg.Worker.GiveUp {
			return fault.New(fault.Unavailable, "segue.bulk", fmt.Errorf("firing %s: %s", c.ID(), fault.Reason(cause)))
		}
	}
	return c.end(ctx, cause)
}

// end seals the session, if there is one, and reports what became of the firing.
func (c *carrier) end(ctx context.Context, cause error) error {
	reason := c.found(cause)
	if err := c.spares.settle(ctx, c.system, c.session); err != nil {
		return err
	}
	switch {
	case c.session == "" && cause != nil, c.session == "" && c.hopeless():
		c.log.ErrorContext(ctx, "firing failed", c.attrs(reason)...)
		return c.book.Fail(ctx, c.Schedule, c.Fire, reason)
	case c.session == "":
		c.log.InfoContext(ctx, "firing had nothing to do", c.attrs(reason)...)
		return c.book.Idle(ctx, c.Schedule, c.Fire, reason)
	}
	if !c.over {
		if err := c.client.Seal(ctx, c.session); err != nil && !errors.Is(err, enqueue.ErrConflict) && !errors.Is(err, enqueue.ErrCanceled) {
			return fault.New(fault.Unavailable, "segue.bulk", err)
		}
	}
	if err := c.book.Submitted(ctx, c.Schedule, c.Fire, c.session, reason); err != nil {
		return err
	}
	c.log.InfoContext(ctx, "firing submitted", append(c.attrs(reason), slog.String("session", c.session))...)
	return nil
}

func (c *carrier) attrs(reason string) []any {
	return []any{slog.String("schedule", c.Schedule), slog.String("fire", c.Fire), slog.String("reason", reason)}
}

// leave notes, and logs, what is not carried. It stays new: the next firing looks at
// it again.
func (c *carrier) leave(ctx context.Context, f source.Finding) {
	if f.Note {
		return
	}
	// That there is nothing at all is said once, at the end.
	all := c.inputs == 0 && f.Origin == c.Entry.Source
	if c.left = append(c.left, f); len(c.left) <= maxFindings && !all {
		c.log.WarnContext(ctx, "file left out", slog.String("schedule", c.Schedule), slog.String("fire", c.Fire), slog.String("reason", f.Error()))
	}
}

// named is how many files that were left out a firing's reason names.
const named = 3

// found says what a person should know about what the firing found; empty when all of
// it was carried.
func (c *carrier) found(cause error) string {
	var parts []string
	if cause != nil {
		parts = append(parts, fault.Reason(cause))
	}
	before := c.spares.number()
	if before > 0 {
		parts = append(parts, plural(before, "file")+" paid for before and not again")
	}
	if c.later > 0 {
		parts = append(parts, plural(c.later, "new file")+" left to a later firing: the budget allows no more")
	}
	if c.session == "" && cause == nil && c.inputs > 0 && len(c.left)+c.later+before == 0 {
		parts = append(parts, "no file is new: "+plural(c.inputs, "file")+" carried before, or about to be")
	}
	if c.twice > 0 {
		parts = append(parts, plural(c.twice, "file")+" with the content of another, carried once")
	}
	if len(c.left) > 0 {
		reasons := make([]string, 0, named)
		for _, f := range c.left[:min(named, len(c.left))] {
			reasons = append(reasons, f.Error())
		}
		text := plural(len(c.left), "file") + " left out: "
		if c.inputs == 0 {
			text = ""
		}
		text += strings.Join(reasons, "; ")
		if more := len(c.left) - named; more > 0 {
			text += fmt.Sprintf("; and %d more, in the worker's log", more)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

// hopeless says that there was nothing because the source itself is wrong or away: a
// person should know. A directory without files is not.
func (c *carrier) hopeless() bool {
	from := c.Entry.Source
	if c.inputs > 0 || len(c.left) == 0 || strings.Contains(from, "://") {
		return false
	}
	info, err := os.Stat(from)
	if err == nil {
		return !info.IsDir() // a manifest without a good row
	}
	base, _ := doublestar.SplitPattern(filepath.ToSlash(from))
	if base == from || !strings.ContainsAny(from, "*?[{") || !doublestar.ValidatePattern(filepath.ToSlash(from)) {
		return true
	}
	_, err = os.Stat(base)
	return err != nil
}
