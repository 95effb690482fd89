package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/session"
)

const anAccount = "an account: its name, or PROVIDER/NAME (segue accounts lists them)"

func (a *app) drainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "drain ACCOUNT",
		Short: "Bind no new sessions to an account; those it has go on",
		Long: `From now on no session is bound to the account: one that names none gets another one,
and one that names this one is refused, with exit code 5. The sessions that it has go on
to their end, also when they are submitted again. It holds for every worker and producer,
until segue accounts undrain.`,
		Args: one(anAccount),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, args, func(ctx context.Context, sys *system) error { return a.drain(ctx, sys, args[0], true) })
		},
	}
}

func (a *app) undrainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "undrain ACCOUNT",
		Short: "Let an account that was drained have new sessions again",
		Args:  one(anAccount),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, args, func(ctx context.Context, sys *system) error { return a.drain(ctx, sys, args[0], false) })
		},
	}
}

func (a *app) removeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove ACCOUNT",
		Short: "Forget an account that is drained, has no open sessions, and is configured no more",
		Long: `Takes an account off the list from which new sessions get theirs, with its pauses. What
was spent with it stays in the ledger. In this order: segue accounts drain, wait for its
sessions (or cancel them), take it out of the configuration of every worker (they notice
within 10 s, or on SIGHUP), segue accounts remove.`,
		Args: one(anAccount),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, args, func(ctx context.Context, sys *system) error { return a.remove(ctx, sys, args[0]) })
		},
	}
}

// drained is what the commands about one account print as JSON.
type drained struct {
	Provider string `json:"provider"`
	Account  string `json:"account"`
	Draining bool   `json:"draining"`
	Removed  bool   `json:"removed"`
	// Changed says that it was not so before.
	Changed bool `json:"changed"`
	// OpenSessions are those that are bound to it and not over.
	OpenSessions []string `json:"openSessions"`
}

// drain begins or ends the draining of an account.
func (a *app) drain(ctx context.Context, sys *system, name string, on bool) error {
	id, err := sys.named(ctx, name)
	if err != nil {
		return err
	}
	state, err := sys.gate.State(ctx, id, account.Limits{})
	if err != nil {
		return err
	}
	done := drained{Provider: id.Provider, Account: id.Name, Draining: on, Changed: state.Draining != on}
	if done.Changed {
		verb := map[bool]string{true: "drain", false: "undrain"}[on]
		if err := errors.Join(sys.gate.Drain(ctx, id, on), sys.decided(ctx, verb, id)); err != nil {
			return err
		}
	}
	if done.OpenSessions, err = sys.openOf(ctx, id); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(done)
	}
	fmt.Fprintln(a.stdout, done.String())
	return nil
}

func (d drained) String() string {
	name, again := d.Provider+"/"+d.Account, ""
	if !d.Changed {
		again = " already"
	}
	switch {
	case d.Removed:
		return name + " is removed"
	case !d.Draining:
		return name + " takes new sessions" + again
	case len(d.OpenSessions) == 0:
		return name + " takes no new sessions" + again + "; it has none that are open"
	}
	return fmt.Sprintf("%s takes no new sessions%s; %s: %s", name, again, goOn(len(d.OpenSessions)), fewOf(d.OpenSessions))
}

func goOn(n int) string {
	if n == 1 {
		return "1 goes on"
	}
	return fmt.Sprintf("%d go on", n)
}

// fewOf names the first of many.
func fewOf(names []string) string {
	const few = 5
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}

// remove forgets an account, in the one order in which nothing is lost.
func (a *app) remove(ctx context.Context, sys *system, name string) error {
	id, err := sys.named(ctx, name)
	if err != nil {
		return err
	}
	seen, err := sys.announcedAt(ctx, id)
	if err != nil {
		return err
	}
	if err := sys.mayRemove(ctx, id, !seen.IsZero()); err != nil {
		return err
	}
	state, err := sys.gate.State(ctx, id, account.Limits{})
	if err != nil {
		return err
	}
	done := drained{Provider: id.Provider, Account: id.Name, Removed: true, Changed: !seen.IsZero() || state.Draining, OpenSessions: []string{}}
	err = sys.gate.Forget(ctx, id)
	if err == nil && done.Changed {
		err = sys.decided(ctx, "remove", id)
	}
	if err != nil {
		return err
	}
	const twice = 2 * time.Minute // an announcement, and the look at the configuration before it
	if ago := state.Now.Sub(seen); !seen.IsZero() && ago < twice {
		fmt.Fprintf(a.stderr, "note: a worker or producer named it %s ago; where its configuration still has it, it comes back within a minute\n", max(0, ago).Round(time.Second))
	}
	if a.json {
		return a.printJSON(done)
	}
	fmt.Fprintln(a.stdout, done.String())
	return nil
}

// mayRemove refuses to forget an account that something still needs.
func (s *system) mayRemove(ctx context.Context, id account.ID, listed bool) error {
	open, err := s.openOf(ctx, id)
	if err != nil {
		return err
	}
	state, err := s.gate.State(ctx, id, account.Limits{})
	if err != nil {
		return err
	}
	configured := slices.ContainsFunc(s.announced(), func(k account.Known) bool { return k.ID == id })
	switch {
	case (listed || configured) && !state.Draining:
		return &failure{exitOther, fmt.Errorf("%s still takes new sessions", id), "segue accounts drain " + id.String()}
	case len(open) > 0:
		return &failure{
			exitOther, fmt.Errorf("%s cannot be removed: %s of it %s open: %s", id, plural(len(open), "session"), isAre(len(open)), fewOf(open)),
			"segue status --watch " + open[0] + ", or segue cancel " + strings.Join(open[:min(len(open), 5)], " "),
		}
	case configured:
		return &failure{
			exitOther, fmt.Errorf("%s cannot be removed: the configuration here has it, and would bring it back", id),
			"segue config print shows where it comes from; take it out there, and where workers run",
		}
	}
	return nil
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// decided puts on record what was decided about an account.
func (s *system) decided(ctx context.Context, verb string, id account.ID) error {
	return s.ledger.Record(ctx, ledger.Act{Who: s.app.operator(), Verb: verb, Index: -1, Detail: "account " + id.String()})
}

// named finds the one account that a person means: NAME where only one provider has it,
// or PROVIDER/NAME.
func (s *system) named(ctx context.Context, text string) (account.ID, error) {
	all, err := s.everyAccount(ctx)
	if err != nil {
		return account.ID{}, err
	}
	var meant []string
	var found account.ID
	for _, id := range all {
		if id.String() == text || id.Name == text {
			meant, found = append(meant, id.String()), id
		}
	}
	switch len(meant) {
	case 0:
		return account.ID{}, &failure{
			exitNotFound, fmt.Errorf("there is no account %s, configured, in use, or on the books", text), "segue accounts lists those that there are",
		}
	case 1:
		return found, nil
	}
	return account.ID{}, usage("%s may be %s; name its provider too", text, strings.Join(meant, " or "))
}

// everyAccount lists the accounts of the configuration, of the workers, and of the
// books, by name.
func (s *system) everyAccount(ctx context.Context) ([]account.ID, error) {
	known, err := s.gate.Known(ctx, "")
	if err != nil {
		return nil, err
	}
	holdings, err := s.holdings(ctx, asking{})
	if err != nil {
		return nil, err
	}
	all := make([]account.ID, 0, len(known)+len(holdings))
	for _, k := range append(known, s.announced()...) {
		all = append(all, k.ID)
	}
	for _, h := range holdings {
		all = append(all, account.ID(h.Account))
	}
	slices.SortFunc(all, func(a, b account.ID) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(all), nil
}

// openOf lists the sessions of an account that are not over, held ones included.
func (s *system) openOf(ctx context.Context, id account.ID) ([]string, error) {
	open, err := s.store.Open(ctx)
	if err != nil {
		return nil, err
	}
	of := []string{}
	for _, ses := range open {
		current, err := s.store.Session(ctx, ses)
		switch {
		case fault.CodeOf(err) == fault.NotFound:
			continue
		case err != nil:
			return nil, err
		}
		if current.Provider == id.Provider && current.Account == id.Name && isOpen(current) {
			of = append(of, ses)
		}
	}
	slices.Sort(of)
	return of, nil
}

// isOpen says that something of a session may still happen, or waits for a person.
func isOpen(current *session.Session) bool {
	return !current.Status().Over() || current.Status() == session.StatusHeld
}

// announcedAt is when an account was last announced; zero when it is not listed.
func (s *system) announcedAt(ctx context.Context, id account.ID) (time.Time, error) {
	known, err := s.gate.Known(ctx, id.Provider)
	if err != nil {
		return time.Time{}, err
	}
	for _, k := range known {
		if k.ID == id {
			return k.Seen, nil
		}
	}
	return time.Time{}, nil
}

// refuseDraining refuses a new session of an account that is being drained.
func (s *system) refuseDraining(ctx context.Context, asked *enqueue.Session) error {
	id := account.ID{Provider: asked.Provider, Name: asked.Account}
	state, err := s.gate.State(ctx, id, account.Limits{})
	if err != nil || !state.Draining {
		return err
	}
	return &failure{
		exitDenied, fmt.Errorf("account %s is being drained and takes no new sessions", id),
		"--account with another one (segue accounts), or segue accounts undrain " + id.String(),
	}
}
