package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/bulk"
	"github.com/segue-audio/segue/internal/fault"
)

// reused is an input that a session was submitted without, as JSON shows it: because
// it was paid for before, or because it is there twice.
type reused struct {
	// Index is its place among the inputs of the command, from 0.
	Index  int    `json:"index"`
	Source string `json:"source"`
	SHA256 string `json:"sha256"`
	// Outcome is reused or duplicate.
	Outcome bulk.Kind `json:"outcome"`
	// SameAs is the input that a duplicate is done as.
	SameAs string `json:"sameAs,omitempty"`
	// The rest is of what was paid for: where it was made, and where it is.
	SessionID string    `json:"sessionId,omitempty"`
	ItemID    string    `json:"itemId,omitempty"`
	AudioIDs  []string  `json:"audioIds"`
	Files     []string  `json:"files"`
	Expires   time.Time `json:"expires,omitzero"`
}

// The keys. What a command leaves out is decided once and kept, so that the same
// command is the same session although more was paid for meanwhile.
//
//	segue:left:<key>          string  a list of reused, packed; key of the command, or the session
//	segue:{<session>}:left    string  the key above, of a session that something was left out of
func leftKey(of string) string   { return "segue:left:" + of }
func leftOfKey(id string) string { return "segue:{" + id + "}:left" }

// leaveOut takes out of a session what was paid for before and what is there twice,
// and holds it to the plan that must hold, if there is one. balance is nil where it is
// not known. A session that was submitted before stays as it was.
func (s *system) leaveOut(ctx context.Context, asked *enqueue.Session, sub *submission, balance *float64) ([]reused, error) {
	if err := s.recognise(ctx, sub.inspected); err != nil {
		return nil, err
	}
	for n := range sub.inspected {
		asked.Items[n].Known.SHA256 = sub.inspected[n].Probed.SHA256
	}
	left, begun, err := s.begun(ctx, asked.Key)
	if err != nil {
		return nil, err
	}
	if !begun {
		if left, err = s.spare(ctx, asked, sub, balance); err != nil {
			return nil, err
		}
	}
	asked.Items = without(asked.Items, left)
	sub.inspected = nil // the items say it all, and a run of 100,000 may take days
	return left, nil
}

// begun is what was left out of the session that the command has made already.
func (s *system) begun(ctx context.Context, key string) ([]reused, bool, error) {
	if key == "" {
		return nil, false, nil
	}
	bound, err := s.store.Bound(ctx, key)
	if err != nil || bound == "" {
		return nil, false, err
	}
	left, _, err := s.kept(ctx, leftKey(key))
	return left, true, err
}

// kept reads what was left out; ok is false where nothing was ever decided.
func (s *system) kept(ctx context.Context, key string) (left []reused, ok bool, err error) {
	const op = "segue.kept"
	text, err := s.rdb.Get(ctx, key).Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, false, nil
	case err != nil:
		return nil, false, fault.Uncharged(fault.Unavailable, op, err)
	}
	if left, err = unpacked(text); err != nil {
		return nil, false, fault.Uncharged(fault.Malformed, op, fmt.Errorf("%s: %w", key, err))
	}
	return left, true, nil
}

// spare decides what a new session is submitted without.
func (s *system) spare(ctx context.Context, asked *enqueue.Session, sub *submission, balance *float64) ([]reused, error) {
	left := []reused{}
	n := 0
	balance, err := s.planned(ctx, sub.plan, balance)
	if err != nil {
		return nil, err
	}
	settings, err := s.planning(ctx, sub, asked.Account, balance)
	if err != nil {
		return nil, err
	}
	settings.Each = func(o bulk.Outcome) error {
		if o.Kind == bulk.Known || o.Kind == bulk.Twice {
			left = append(left, reusedOf(n, o))
		}
		n++
		return nil
	}
	plan, err := bulk.Make(ctx, inspectedOf(sub.inspected), settings)
	if err != nil {
		return nil, err
	}
	if sub.plan != "" && plan.Hash != sub.plan {
		return nil, s.moved(ctx, sub.plan, plan)
	}
	if asked.Key == "" {
		return left, nil
	}
	return s.decide(ctx, leftKey(asked.Key), left, settings.Now)
}

// decide keeps the first decision of several processes that run the same command at
// once, unless what it counts on is gone.
func (s *system) decide(ctx context.Context, key string, left []reused, now time.Time) ([]reused, error) {
	text, err := packed(left)
	if err != nil {
		return nil, err
	}
	first, err := s.rdb.SetNX(ctx, key, text, 0).Result()
	if err != nil {
		return nil, fault.Uncharged(fault.Unavailable, "segue.decide", err)
	}
	if first {
		return left, nil
	}
	earlier, ok, err := s.kept(ctx, key)
	if err != nil {
		return nil, err
	}
	gone := slices.ContainsFunc(earlier, func(r reused) bool {
		return len(r.Files) == 0 && !r.Expires.IsZero() && !now.Before(r.Expires)
	})
	if ok && !gone {
		return earlier, nil
	}
	if err := s.rdb.Set(ctx, key, text, 0).Err(); err != nil {
		return nil, fault.Uncharged(fault.Unavailable, "segue.decide", err)
	}
	return left, nil
}

// spared puts on record what a session was submitted without.
func (s *system) spared(ctx context.Context, id, key string, left []reused) error {
	if len(left) == 0 {
		return nil
	}
	of := leftKey(cmp.Or(key, id))
	text, err := packed(left)
	if err != nil {
		return err
	}
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		if key == "" {
			p.Set(ctx, of, text, 0)
		}
		p.Set(ctx, leftOfKey(id), of, 0)
		return nil
	})
	if err != nil {
		return fault.Uncharged(fault.Unavailable, "segue.spared", err)
	}
	return nil
}

// leftOut is what a session was submitted without.
func (s *system) leftOut(ctx context.Context, id string) ([]reused, error) {
	of, err := s.rdb.Get(ctx, leftOfKey(id)).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, nil
	case err != nil:
		return nil, fault.Uncharged(fault.Unavailable, "segue.leftOut", err)
	}
	left, _, err := s.kept(ctx, of)
	return left, err
}

// balanceOf is a balance that may not be known.
func balanceOf(credits float64, known bool) *float64 {
	if !known {
		return nil
	}
	return &credits
}

func reusedOf(index int, o bulk.Outcome) reused {
	r := reused{
		Index: index, Source: o.Input.Source, SHA256: o.Input.Probed.SHA256, Outcome: o.Kind, AudioIDs: []string{}, Files: []string{},
	}
	if o.Kind == bulk.Twice {
		r.SameAs = o.First.String()
	}
	if e := o.Entry; e != nil {
		r.SessionID, r.ItemID, r.Expires = e.Session, e.Item, e.Expires
		r.AudioIDs, r.Files = append(r.AudioIDs, e.AudioIDs...), append(r.Files, e.Files...)
	}
	return r
}

// without is the items but those that are left out.
func without(items []enqueue.Item, left []reused) []enqueue.Item {
	out := make(map[int]bool, len(left))
	for _, r := range left {
		out[r.Index] = true
	}
	kept := make([]enqueue.Item, 0, len(items))
	for n := range items {
		if !out[n] {
			kept = append(kept, items[n])
		}
	}
	return kept
}

// sessionEnd is a session with what it was submitted without.
type sessionEnd struct {
	*enqueue.Status
	// Reused is left out when nothing was.
	Reused []reused `json:"reused,omitempty"`
}

// endHead is a sessionEnd whose lists are written one by one.
func endHead(s *enqueue.Status, left *[]reused) any {
	return struct {
		*enqueue.Status
		Reused *[]reused `json:"reused,omitempty"`
	}{s, left}
}

// spareWords says how much of the inputs is not done, and why.
func spareWords(left []reused) string {
	paid, twice := 0, 0
	for _, r := range left {
		if r.Outcome == bulk.Known {
			paid++
		} else {
			twice++
		}
	}
	var parts []string
	if paid > 0 {
		parts = append(parts, plural(paid, "file")+" paid for before and not again (--again pays anew)")
	}
	if twice > 0 {
		parts = append(parts, plural(twice, "file")+" there twice and done once")
	}
	return strings.Join(parts, ", ")
}

// printReused shows what a session was submitted without, and where it is.
func (a *app) printReused(left []reused) {
	if len(left) == 0 {
		return
	}
	fmt.Fprintf(a.stdout, "\nleft out: %s\n", spareWords(left))
	t := a.table("file", "why", "results")
	for _, r := range left[:min(len(left), maxRows)] {
		why, where := "paid for as "+r.ItemID, strings.Join(r.Files, "\n")
		if r.Outcome == bulk.Twice {
			why = "the same as " + r.SameAs
		}
		t.AppendRow(table.Row{r.Source, why, cmp.Or(where, strings.Join(r.AudioIDs, "\n"))})
	}
	t.Render()
	if more := len(left) - maxRows; more > 0 {
		fmt.Fprintf(a.stdout, "… and %d more (--json has all)\n", more)
	}
}
