package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/schedule"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

// carrier makes a session of one firing of a schedule. It may be cut off anywhere, and
// be begun again by another worker: the session is open while files are added to it,
// under keys of their own, and sealed when all of them are in. So the files need not be
// the same the second time, and their number does not matter.
type carrier struct {
	*system
	schedule.Firing
	book *schedule.Store
	sub  submission
	info provider.Info
	asks enqueue.Session

	// session is empty until there is a file to carry; over says that it takes no more.
	session string
	over    bool
	// repeated says that a delivery before this one has begun the session.
	repeated bool
	// inputs is how many files the source has, twice how many of them have the content
	// of another, later how many are left to a firing that its budgets allow more.
	inputs, twice, later int
	// spares are those that were paid for before; glanced is how many were looked at although
	// the budgets do not pay for them.
	spares  *spares
	glanced int
	// items is how many files are in the session.
	items int
	// room is what the budgets leave for files that are not in the session yet.
	room float64
	left []source.Finding
}

// bulk executes one firing of a schedule.
func (s *system) bulk(ctx context.Context, p tasks.Run) error {
	book := schedule.NewStore(s.rdb)
	f, err := book.Firing(ctx, p.Schedule, p.Fire)
	if err != nil {
		return err
	}
	if f.State != schedule.Started || f.Session != "" || !f.Open() {
		return nil // a delivery before this one has reported it
	}
	c := &carrier{system: s, Firing: f, book: book}
	if err := c.prepare(ctx); err != nil {
		return c.refused(ctx, err)
	}
	if err := c.carryAll(ctx); err != nil {
		return c.refused(ctx, err)
	}
	return c.end(ctx, nil)
}

// prepare reads what the schedule asks for, and finds the session that a delivery
// before this one has begun.
func (c *carrier) prepare(ctx context.Context) error {
	const op = "segue.bulk"
	e := &c.Entry
	p, err := c.config().Provider(e.Provider)
	if err != nil {
		return fault.New(fault.Unavailable, op, fmt.Errorf("this worker does not know provider %s", e.Provider))
	}
	if c.info, err = c.system.info(p); err != nil {
		return err
	}
	params, err := extendOf(e)
	if err != nil {
		return fault.New(fault.Invalid, op, err)
	}
	c.asks = enqueue.Session{
		Provider: e.Provider, Account: e.Account, Name: c.title(), Extend: params, Open: true,
		Key: c.ID(), OnUnknown: e.OnUnknown, Priority: e.Priority, Archive: e.Archive,
		Anew: e.Again,
	}
	c.sub.archive = e.Archive // results are no source, wherever they are
	if c.sub.extend = params != nil; c.sub.extend {
		c.sub.params = *params
	}
	for _, limit := range c.Limits() {
		c.asks.Limits, c.asks.Budget = limitedBy(c.asks.Limits, c.asks.Budget, limit)
	}
	if c.spares, err = c.sparesOf(ctx, c.ID()); err != nil {
		return err
	}
	if err := c.resume(ctx); err != nil {
		return err
	}
	if err := c.measure(ctx); err != nil || c.repeated || e.Account == "" {
		return err
	}
	return invalid(c.refuseDraining(ctx, &c.asks))
}

// limitedBy adds one of the firing's budgets to those of its session.
func limitedBy(limits []enqueue.Limit, budget *float64, l ledger.Limit) (all []enqueue.Limit, own *float64) {
	if l.Scope == ledger.ScopeSession {
		return limits, &l.Credits
	}
	limit := enqueue.Limit{Scope: l.Scope, Key: l.Key}
	if !math.IsInf(l.Credits, 1) {
		limit.Credits = &l.Credits
	}
	return append(limits, limit), budget
}

// title names the session for people: the schedule and the time, in its zone.
func (c *carrier) title() string {
	return c.Schedule + " " + c.At.In(zoneOf(&c.Entry)).Format(time.DateTime)
}

// resume finds the session that was begun under the firing's name.
func (c *carrier) resume(ctx context.Context) error {
	bound, err := c.store.Bound(ctx, c.ID())
	if err != nil || bound == "" {
		return err
	}
	fresh, err := session.NewID()
	if err != nil {
		return err
	}
	if c.session, err = c.store.Reserve(ctx, c.ID(), fresh); err != nil {
		return err
	}
	current, err := c.store.Session(ctx, c.session)
	if err != nil {
		return err
	}
	c.repeated, c.over = true, current.Sealed || !current.Canceled.IsZero()
	c.items, c.asks.Account = current.Total, current.Account
	if c.over || current.Ready {
		return nil
	}
	return c.store.Begin(ctx, c.session)
}

// measure finds how much the budgets leave: what they do not pay for stays new for the
// next firing. The ledger holds to them whatever is guessed here.
func (c *carrier) measure(ctx context.Context) error {
	c.room = math.Inf(1)
	own := 0.0
	if c.session != "" {
		current, err := c.store.Session(ctx, c.session)
		if err != nil {
			return err
		}
		own = float64(current.Total) * c.price(c.asks.Extend != nil)
	}
	if budget := c.Entry.Budget; budget != nil {
		c.room = *budget - own
	}
	if c.Entry.DailyBudget == nil {
		return nil
	}
	day := c.At.In(zoneOf(&c.Entry)).Format(time.DateOnly)
	spent, err := c.spentOn(ctx, c.Entry.Provider, c.Schedule+"/"+day)
	if err != nil {
		return err
	}
	if c.session != "" {
		// What this session has spent of it is in both.
		part, err := c.spentBySession(ctx)
		if err != nil {
			return err
		}
		spent += own - part
	}
	c.room = min(c.room, *c.Entry.DailyBudget-spent)
	return nil
}

// spentBySession is what the firing's own session has spent and reserved.
func (c *carrier) spentBySession(ctx context.Context) (float64, error) {
	current, err := c.store.Session(ctx, c.session)
	if err != nil {
		return 0, err
	}
	t, err := c.ledger.Totals(ctx, ledger.Account{Provider: current.Provider, Name: current.Account}, ledger.ScopeSession, c.session)
	return t.Spent + t.Reserved, err
}

// price is what a file is expected to cost.
func (c *carrier) price(extends bool) float64 {
	price := c.info.Prices.Upload
	if extends {
		price += c.info.Prices.Extend
	}
	return price
}

// affords takes a file's price from what the budgets leave, if they do.
func (c *carrier) affords(item *enqueue.Item) bool {
	price := c.price(item.Extend != nil || c.asks.Extend != nil && !item.UploadOnly)
	if price > c.room {
		c.later++
		return false
	}
	c.room -= price
	return true
}

// atOnce is how many files are looked at and submitted together.
const atOnce = 500

// carryAll goes through the source, so many files at a time.
func (c *carrier) carryAll(ctx context.Context) error {
	if c.over {
		return nil
	}
	part := make([]source.Input, 0, atOnce)
	for in, finding := range source.All(ctx, []string{c.Entry.Source}, c.app.expansion(c.config(), &c.sub)) {
		if finding != nil {
			if code := finding.Code; code == fault.Unavailable || code == fault.Timeout {
				return fault.New(code, "segue.bulk", *finding)
			}
			c.leave(ctx, *finding)
			continue
		}
		c.inputs++
		if part = append(part, in); len(part) < atOnce {
			continue
		}
		if err := c.carry(ctx, part); err != nil || c.over {
			return err
		}
		part = part[:0]
	}
	if err := ctx.Err(); err != nil {
		return fault.New(fault.CodeOf(err), "segue.bulk", err)
	}
	if len(part) == 0 {
		return nil
	}
	return c.carry(ctx, part)
}

// carry submits those of some files that are new and good, and remembers them.
func (c *carrier) carry(ctx context.Context, part []source.Input) error {
	fresh, keys, err := c.fresh(ctx, part)
	if err != nil || len(fresh) == 0 {
		return err
	}
	good, err := c.probe(ctx, c.worth(fresh), keys)
	if err != nil || len(good) == 0 {
		return err
	}
	items, marks, err := c.unlike(ctx, good)
	if err != nil {
		return err
	}
	if len(items) > 0 {
		if err := c.submit(ctx, items); err != nil || c.over {
			return err
		}
	}
	if c.Entry.AllFiles || len(marks) == 0 {
		return nil
	}
	return c.book.Mark(ctx, c.Schedule, c.Fire, marks)
}

// submit adds items to the firing's session, which begins with the first.
func (c *carrier) submit(ctx context.Context, items []enqueue.Item) error {
	p, err := c.config().Provider(c.Entry.Provider)
	if err != nil {
		return err
	}
	if err := c.reachable(p, &enqueue.Session{Items: items}); err != nil {
		return invalid(err)
	}
	if c.session == "" {
		begun, err := c.client.Submit(ctx, c.asks)
		if err != nil {
			return submitting(err)
		}
		c.session = begun.SessionID
	}
	c.items += len(items)
	_, err = c.client.Add(ctx, c.session, items...)
	if errors.Is(err, enqueue.ErrCanceled) || errors.Is(err, enqueue.ErrConflict) {
		c.over = true // somebody canceled it, or another delivery has sealed it
		return nil
	}
	return submitting(err)
}
