package enqueue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/session"
)

// Submitted is the answer to a submission.
type Submitted struct {
	// SessionID is the session's id.
	SessionID string
	// Existed says that the session's key was used before: this is that session.
	Existed bool
	// Items are the answers for the items, in order.
	Items []Answer
}

// Answer is what became of one submitted item.
type Answer struct {
	// ItemID is the item's id, session id and index.
	ItemID string
	// Index is its place in the session.
	Index int
	// Existed says that the item was there already, and was left as it is.
	Existed bool
	// Err is why the item is not in the session; nil when it is.
	Err error
}

const (
	// addBatch is how many items one script call writes, addWriters how many calls
	// are under way at once.
	addBatch   = 500
	addWriters = 4
	// addLook is when the sweep looks at a submitted item that nobody began.
	addLook = time.Minute
)

// Submit writes a session and its items and, when all of them are in, starts the
// work. On an error nothing was started and nothing will be paid for; the answers
// say how far it came, and submitting again with the same Key completes it. One
// doubt remains: when the answer to the very last write is lost, the error is
// ErrUnavailable, and the workers' sweep may start the session all the same.
func (c *Client) Submit(ctx context.Context, s Session) (*Submitted, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	items, err := newItems(s.Items, s.Extend != nil)
	if err != nil {
		return nil, err
	}
	spec, created, err := c.create(ctx, &s, items)
	if err != nil {
		return nil, translate(err)
	}
	submitted := &Submitted{SessionID: spec.ID, Existed: !created}
	if submitted.Items, err = c.addAll(ctx, spec.ID, items); err != nil {
		return submitted, translate(err)
	}
	if !created {
		if err := c.change(ctx, spec.ID, &s); err != nil {
			return submitted, translate(err)
		}
	}
	// Only now may anything of it be worked on: a submission that was cut off has
	// holes, and nothing of it is paid for.
	finish := c.seal
	if s.Open {
		finish = c.store.Begin
	}
	if err := finish(ctx, spec.ID); err != nil {
		return submitted, translate(err)
	}
	current := &session.Session{Spec: spec}
	if submitted.Existed {
		if current, err = c.store.Session(ctx, spec.ID); err != nil || current.Status().Over() {
			return submitted, translate(err)
		}
	}
	c.start(ctx, current)
	return submitted, nil
}

// change applies what a session that exists may be submitted with anew.
func (c *Client) change(ctx context.Context, id string, s *Session) error {
	if s.Budget != nil {
		if err := c.store.SetBudget(ctx, id, *s.Budget); err != nil {
			return err
		}
	}
	if s.Priority != "" {
		return c.store.SetPriority(ctx, id, session.Priority(s.Priority))
	}
	return nil
}

// create writes the session under a new id, or under the one its key stands for.
func (c *Client) create(ctx context.Context, s *Session, items []session.New) (session.Spec, bool, error) {
	id, err := session.NewID()
	if err != nil {
		return session.Spec{}, false, err
	}
	if s.Key != "" {
		if id, err = c.store.Reserve(ctx, s.Key, id); err != nil {
			return session.Spec{}, false, err
		}
	}
	spec := session.Spec{
		ID: id, Name: s.Name, Provider: s.Provider, Account: s.Account,
		Params: s.Extend.params(), OnUnknown: s.OnUnknown, Archive: s.Archive, Budget: s.Budget, Priority: session.Priority(s.Priority), Limits: limits(s.Limits), Anew: s.Anew,
	}
	if spec.Digest, err = digest(&spec, items); err != nil {
		return session.Spec{}, false, err
	}
	if spec.Account == "" {
		if spec.Account, err = c.choose(ctx, spec.Provider); err != nil {
			return session.Spec{}, false, err
		}
	}
	kept, created, err := c.store.Create(ctx, spec, false)
	if err == nil && s.Account != "" && kept.Account != s.Account {
		err = fmt.Errorf("%w: session %s uses account %s", ErrConflict, kept.ID, kept.Account)
	}
	return kept, created, err
}

// limits are the domain's own words for budgets that sessions share.
func limits(of []Limit) []session.Limit {
	all := make([]session.Limit, len(of))
	for n, limit := range of {
		all[n] = session.Limit{Scope: limit.Scope, Key: limit.Key, Credits: limit.Credits}
	}
	return all
}

// digest identifies what was asked for: the session and the items it is submitted
// with.
func digest(spec *session.Spec, items []session.New) (string, error) {
	sum := sha256.New()
	enc := json.NewEncoder(sum)
	asked := *spec
	// Budgets and the priority may change, and the account may be any or be named.
	asked.ID, asked.Account, asked.Budget, asked.Limits, asked.Priority = "", "", nil, nil, ""
	err := enc.Encode(asked)
	for n := range items {
		src := items[n].Item.Source
		// A file that was only touched is still the same file.
		src.ModTime = 0
		err = errors.Join(err, enc.Encode([]any{items[n].Key, src, items[n].Item.Params, items[n].Item.Plan}))
	}
	return hex.EncodeToString(sum.Sum(nil)[:16]), err
}

func newItems(items []Item, extend bool) ([]session.New, error) {
	all := make([]session.New, len(items))
	for n := range items {
		item, err := items[n].item(extend)
		if err != nil {
			return nil, err
		}
		all[n] = session.New{Key: items[n].Key, Item: item}
	}
	return all, nil
}

// addAll writes the items at their own indexes, in batches. After a batch that
// failed no further one begins, and the items of those that never began have the
// same error.
func (c *Client) addAll(ctx context.Context, id string, items []session.New) ([]Answer, error) {
	answers := make([]Answer, len(items))
	batches := (len(items) + addBatch - 1) / addBatch
	err := inParallel(addWriters, batches, func(n int) error {
		from, to := n*addBatch, min((n+1)*addBatch, len(items))
		added, err := c.store.Add(ctx, id, from, items[from:to], addLook)
		if err != nil {
			return err
		}
		for i := from; i < to; i++ {
			answers[i] = answer(id, added[i-from])
		}
		return nil
	})
	if err == nil {
		return answers, nil
	}
	for i := range answers {
		if answers[i].ItemID == "" {
			answers[i] = Answer{ItemID: session.ItemID(id, i), Index: i, Err: translate(err)}
		}
	}
	return answers, err
}

func answer(id string, added session.Added) Answer {
	return Answer{ItemID: session.ItemID(id, added.Index), Index: added.Index, Existed: added.Existed}
}

// start lets the session take its turns among those of its account. Should it not come
// to that, the workers' sweep does it: the items are accepted all the same.
func (c *Client) start(ctx context.Context, s *session.Session) {
	id := account.ID{Provider: s.Provider, Name: s.Account}
	demand, err := c.gate.Join(ctx, id, string(session.StepUpload), s.ID, s.Priority.Weight())
	if err == nil {
		_ = c.queue.Admission(ctx, id.Provider, id.Name, demand.Seq+1)
	}
}

// Add adds items behind the last one of an open session; work on them begins at
// once. An item whose Key is there already is left as it is: give items keys, and
// an Add that failed can be repeated. The answers are in the order of the items; on
// an error they are those of the items that are surely in.
func (c *Client) Add(ctx context.Context, id string, items ...Item) ([]Answer, error) {
	if findings := checkItems(items); len(findings) > 0 {
		return nil, &InvalidError{findings}
	}
	current, err := c.store.Session(ctx, id)
	if err != nil {
		return nil, translate(err)
	}
	if !current.Ready {
		return nil, cutOff(id)
	}
	all, err := newItems(items, current.Params != nil)
	if err != nil {
		return nil, err
	}
	answers := make([]Answer, 0, len(all))
	for from := 0; from < len(all); from += addBatch {
		batch := all[from:min(from+addBatch, len(all))]
		added, err := c.store.Add(ctx, id, -1, batch, addLook)
		if err != nil {
			return answers, translate(err)
		}
		for n := range batch {
			answers = append(answers, answer(id, added[n]))
		}
	}
	c.start(ctx, current)
	return answers, nil
}

// cutOff refuses to touch a session whose submission has not come to its end: its
// items are not all there, and what is added or started now could take the place
// of one that is still to come.
func cutOff(id string) error {
	return fmt.Errorf("%w: the submission of %s was not completed: submit it again with its key, or cancel it", ErrConflict, id)
}

// inParallel calls fn for 0 to n-1 with a number of goroutines and joins the
// errors. After the first one it begins no further call.
func inParallel(goroutines, n int, fn func(n int) error) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	var mu sync.Mutex
	var all []error
	for range min(goroutines, n) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if err := fn(int(i)); err != nil {
					next.Store(int64(n))
					mu.Lock()
					all = append(all, err)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(all...)
}
