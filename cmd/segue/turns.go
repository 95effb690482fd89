package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/session"
)

// waitView is one thing that files of a session wait for.
type waitView struct {
	// Reason is credits, paused, full or turn.
	Reason string `json:"reason"`
	// Items is how many wait.
	Items int `json:"items"`
	// Until is when a pause ends; nil when nobody knows.
	Until *time.Time `json:"until"`
	// Text says it in a sentence.
	Text string `json:"text"`
}

// statusView is what segue status --json prints: the session as run --json does, and
// what is out of the ordinary about its turns.
type statusView struct {
	*enqueue.Status
	// Priority is left out where it is normal.
	Priority session.Priority `json:"priority,omitempty"`
	// WaitsFor is left out when nothing waits for its turn.
	WaitsFor []waitView `json:"waitsFor,omitempty"`
	// AccountDraining says that the account takes no new sessions; this one goes on.
	AccountDraining bool `json:"accountDraining,omitempty"`
	// NotArchived is left out unless results are not archived that will soon be deleted.
	NotArchived *atRisk `json:"notArchived,omitempty"`
}

// turns is what a session waits for before anything more of it is sent.
type turns struct {
	priority session.Priority
	draining bool
	waits    []waitView
}

// turnsOf asks what the files of a session wait for. It costs the same however many they
// are.
func (s *system) turnsOf(ctx context.Context, current *session.Session) (turns, error) {
	found := turns{}
	if current.Priority != session.Normal {
		found.priority = current.Priority
	}
	id := account.ID{Provider: current.Provider, Name: current.Account}
	known, err := s.gate.Known(ctx, id.Provider)
	if err != nil {
		return found, err
	}
	limits, err := s.limits(ctx, id, known)
	if err != nil {
		return found, err
	}
	found.draining = limits.Draining
	if current.Status().Over() || !current.Canceled.IsZero() {
		return found, nil
	}
	overdue, err := s.store.Overdue(ctx, current.ID, 1)
	if err != nil {
		return found, err
	}
	dry, err := s.ledger.DryAccounts(ctx)
	if err != nil {
		return found, err
	}
	if n := queuedOf(current); n > 0 && slices.Contains(dry, ledger.Account(id)) {
		// They wait for nothing else, wherever they are.
		found.waits = []waitView{creditsWait(id, n)}
		return found, nil
	}
	for _, step := range session.Backlogged() {
		if n := overdue.Backlog[step]; n > 0 {
			found.waits = append(found.waits, limits.wait(id, step, n))
		}
	}
	return found, nil
}

// queuedOf is how many items wait for their turn at a step that may cost.
func queuedOf(current *session.Session) int {
	return current.Counts["upload.queued"] + current.Counts["extend.queued"]
}

func creditsWait(id account.ID, n int) waitView {
	return waitView{Reason: "credits", Items: n, Text: fmt.Sprintf("%s for credits: account %s has none left; buy some, and it goes on by itself", waitFor(n), id)}
}

// wait says what so many files wait for at a step.
func (v *limitsView) wait(id account.ID, step session.StepName, n int) waitView {
	for p := range v.Pauses {
		switch pause := &v.Pauses[p]; {
		case pause.Endpoint != string(step):
		case pause.Code == handlers.DryPause:
			return creditsWait(id, n)
		default:
			return waitView{"paused", n, pause.Until, fmt.Sprintf("%s: account %s, %s", waitFor(n), id, pause)}
		}
	}
	if v.Slots.Limit > 0 && v.Slots.Used >= v.Slots.Limit {
		return waitView{"full", n, nil, fmt.Sprintf("%s for their turn at %s: account %s is full, %s operations run", waitFor(n), step, id, of(v.Slots.Used, v.Slots.Limit))}
	}
	return waitView{"turn", n, nil, fmt.Sprintf("%s for their turn at %s", waitFor(n), step)}
}

// waitFor is "1 file waits" or "5 files wait".
func waitFor(n int) string {
	if n == 1 {
		return "1 file waits"
	}
	return fmt.Sprintf("%d files wait", n)
}

// printTurns says what a session waits for.
func (a *app) printTurns(found turns, accountName string) {
	for _, wait := range found.waits {
		fmt.Fprintln(a.stdout, wait.Text)
	}
	if found.priority != "" {
		fmt.Fprintf(a.stdout, "its priority is %s\n", found.priority)
	}
	if found.draining {
		fmt.Fprintf(a.stdout, "account %s is being drained: this session goes on, new ones are not bound to it\n", accountName)
	}
}

// turnsEvery is how often a watched session is asked what it waits for.
const turnsEvery = 2 * time.Second

// turns says what files wait for that is out of the ordinary, each reason once: that
// each has its turn is not. troubled says that some file was refused, so that it is worth
// asking at once. It answers whether files wait for such a reason.
func (s *screen) turns(ctx context.Context, sys *system, current *session.Session, troubled bool) (bool, error) {
	if queuedOf(current) == 0 {
		s.waitsFor = ""
		return false, nil
	}
	if time.Since(s.asked) < turnsEvery && !(troubled && s.waitsFor == "") {
		return s.waitsFor != "", nil
	}
	s.asked = time.Now()
	found, err := sys.turnsOf(ctx, current)
	if err != nil {
		return false, err
	}
	s.waitsFor = ""
	for _, wait := range found.waits {
		if wait.Reason != "paused" && wait.Reason != "full" {
			continue
		}
		s.waitsFor = wait.Reason
		once := wait.Reason // that it is full again is no news
		if wait.Until != nil {
			once += " " + wait.Until.String()
		}
		if !s.said[once] {
			s.said[once] = true
			s.say("waiting: %s", wait.Text)
		}
	}
	return s.waitsFor != "", nil
}
