package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

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
		Key: c.ID(), OnUnknown: e.OnUnknown, Priority: e.Priority,
	}
	if c.sub.extend = params != nil; c.sub.extend {
		c.sub.params = *params
	}
	for _, limit := range c.Limits() {
		c.asks.Limits, c.asks.Budget = limitedBy(c.asks.Limits, c.asks.Budget, limit)
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

// invalid makes a refusal that a command would end with one that ends the firing. What
// was not a refusal stays what it is.
func invalid(err error) error {
	if refusal, ok := errors.AsType[*failure](err); ok {
		return fault.New(fault.Invalid, "segue.bulk", refusal.err)
	}
	return err
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
	if c.over || len(part) == 0 {
		return nil
	}
	return c.carry(ctx, part)
}

// candidate is a good file that the schedule has not carried by its name: under key, and
// by what it holds.
type candidate struct {
	item         enqueue.Item
	key, content string
}

// carry submits those of some files that are new and good, and remembers them.
func (c *carrier) carry(ctx context.Context, part []source.Input) error {
	fresh, keys, err := c.fresh(ctx, part)
	if err != nil || len(fresh) == 0 {
		return err
	}
	if cheapest := c.price(c.asks.Extend != nil); c.room < cheapest {
		c.later += len(fresh) // not worth a look
		return nil
	}
	good, err := c.probe(ctx, fresh, keys)
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

// fresh leaves out what the schedule has carried already, without opening it.
func (c *carrier) fresh(ctx context.Context, part []source.Input) (fresh []source.Input, keys []string, err error) {
	named := make([]source.Input, 0, len(part))
	names := make([]string, 0, len(part))
	for _, in := range part {
		key, err := identity(in)
		if err != nil {
			c.leave(ctx, source.Finding{Origin: in.Origin, Source: in.Source, Reason: bare(err).Error(), Code: fault.NotFound})
			continue
		}
		named, names = append(named, in), append(names, key)
	}
	if c.Entry.AllFiles {
		return named, names, nil
	}
	take, err := c.book.Fresh(ctx, c.Schedule, c.Fire, names)
	if err != nil {
		return nil, nil, err
	}
	done := make([]bool, len(names))
	if c.repeated {
		if done, err = c.book.Carried(ctx, c.Schedule, c.Fire, names); err != nil {
			return nil, nil, err
		}
	}
	for n := range named {
		if take[n] && !done[n] {
			fresh, keys = append(fresh, named[n]), append(keys, names[n])
		}
	}
	return fresh, keys, nil
}

// probe looks at files, and leaves out what is no audio or nothing for the provider.
func (c *carrier) probe(ctx context.Context, fresh []source.Input, keys []string) ([]candidate, error) {
	inspector, err := c.app.inspector(c.config())
	if err != nil {
		return nil, err
	}
	good := make([]candidate, 0, len(fresh))
	n := -1
	for in, finding := range inspector.All(ctx, eachOf(fresh)) {
		n++
		if finding != nil {
			c.leave(ctx, *finding)
			continue
		}
		item := itemOf(in, &c.sub)
		if wrong := c.unfit(&item, in); len(wrong) > 0 {
			for _, finding := range wrong {
				c.leave(ctx, finding)
			}
			continue
		}
		content := contentKey(in, keys[n])
		item.Key = digestOf(content)
		good = append(good, candidate{item, keys[n], content})
	}
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.CodeOf(err), "segue.bulk", err)
	}
	return good, nil
}

// unfit says why the provider would not take an item.
func (c *carrier) unfit(item *enqueue.Item, in source.Inspected) []source.Finding {
	if item.Extend != nil && item.Extend.ContinueAt == 0 {
		return []source.Finding{{Origin: in.Origin, Source: in.Source, Reason: "continue-at is missing", Code: fault.Invalid}}
	}
	return check(c.info, &c.asks, item, in)
}

// unlike leaves out what was carried before under another name, or was only touched:
// it would be paid for again. Of those that are alike and new it takes the first. marks
// are the names by which what is carried, or was, is remembered.
func (c *carrier) unlike(ctx context.Context, good []candidate) (items []enqueue.Item, marks []string, err error) {
	contents := make([]string, len(good))
	for n := range good {
		contents[n] = good[n].content
	}
	take, before := make([]bool, len(good)), make([]bool, len(good))
	if c.Entry.AllFiles {
		take = slices.Repeat([]bool{true}, len(good))
	} else {
		if take, err = c.book.Fresh(ctx, c.Schedule, c.Fire, contents); err != nil {
			return nil, nil, err
		}
		if before, err = c.book.Carried(ctx, c.Schedule, "", contents); err != nil {
			return nil, nil, err
		}
	}
	taken := make(map[string]bool, len(good))
	for n, one := range good {
		switch {
		case take[n] && !taken[one.item.Key]:
			if !c.affords(&one.item) {
				continue
			}
			taken[one.item.Key] = true
			items = append(items, one.item)
		case take[n] || before[n]:
			c.twice++
		default:
			continue // another firing is about to carry it, and may yet fail
		}
		marks = append(marks, one.key, one.content)
	}
	return items, marks, nil
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
	_, err = c.client.Add(ctx, c.session, items...)
	if errors.Is(err, enqueue.ErrCanceled) || errors.Is(err, enqueue.ErrConflict) {
		c.over = true // somebody canceled it, or another delivery has sealed it
		return nil
	}
	return submitting(err)
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
	if c.later > 0 {
		parts = append(parts, plural(c.later, "new file")+" left to a later firing: the budget allows no more")
	}
	if c.session == "" && cause == nil && c.inputs > 0 && len(c.left)+c.later == 0 {
		parts = append(parts, "no file is new: "+plural(c.inputs, "file")+" carried before")
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

// identity tells one state of an input from another without opening it, together with
// what its row of a manifest asks for. What lies on the web is known by its address.
func identity(in source.Input) (string, error) {
	asked, err := json.Marshal(in.Overrides)
	if err != nil {
		return "", err
	}
	suffix := "\n" + string(asked)
	if in.Overrides.IsZero() {
		suffix = ""
	}
	if in.Path == "" {
		return schedule.ObjectKey(unsigned(in.URL), in.ETag) + suffix, nil
	}
	info, err := os.Stat(in.Path)
	if err != nil {
		return "", err
	}
	return schedule.FileKey(in.Path, info.Size(), info.ModTime()) + suffix, nil
}

// contentKey is the same for files of the same content that are asked for in the same
// way; key is what stands in where the content is not known.
func contentKey(in source.Inspected, key string) string {
	var sum [sha256.Size]byte
	if n, err := hex.Decode(sum[:], []byte(in.Probed.SHA256)); err != nil || n != len(sum) {
		return key
	}
	if in.Overrides.IsZero() {
		return schedule.ContentKey(sum)
	}
	asked, err := json.Marshal(in.Overrides)
	if err != nil {
		return key
	}
	return schedule.ContentKey(sum) + "\n" + string(asked)
}

// digestOf is the key of an item in its session: short, and no address.
func digestOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

// unsigned is an address without what is new in it each time that it is signed.
func unsigned(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.RawQuery == "" {
		return address
	}
	query := u.Query()
	for name := range query {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "x-amz-") || strings.HasPrefix(lower, "x-goog-") || slices.Contains(signatures, lower) {
			query.Del(name)
		}
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// signatures are the parameters that the common ways to sign a URL add.
var signatures = []string{
	"awsaccesskeyid", "expires", "googleaccessid", "key-pair-id", "policy", "se", "sig", "signature", "sp", "spr", "sr", "st", "sv", "token",
}
