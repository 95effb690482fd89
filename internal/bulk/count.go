package bulk

import (
	"math"
	"slices"
	"strings"

	"github.com/segue-audio/segue/internal/audio/source"
)

// micros are millionths of a credit. A million prices of 0.1 are 100,000 credits,
// which they are not when they are added up as they are.
type micros int64

func toMicros(credits float64) micros { return micros(math.Round(credits * 1e6)) }

func (m micros) credits() float64 { return float64(m) / 1e6 }

// sums is what falls to one account.
type sums struct {
	account                       Account
	items, uploads, extends, clip int
	credits                       micros
	// fits counts the items that there are credits for.
	fits int
}

// limit is what the account can spend; ok is false when nothing is known of it.
func (s *sums) limit() (limit micros, ok bool) {
	limit = math.MaxInt64
	for _, amount := range []*float64{s.account.Balance, s.account.Budget} {
		if amount != nil {
			limit, ok = min(limit, max(0, toMicros(*amount))), true
		}
	}
	return limit, ok
}

// example adds to a list of examples while there is room.
func example[E any](list []E, limit int, e E) []E {
	if len(list) >= limit {
		return list
	}
	return append(list, e)
}

// say counts what there is to say about an outcome.
func (m *maker) say(o *Outcome) {
	for _, f := range o.Findings {
		switch {
		case !f.Note:
			m.plan.Inputs.Findings++
			m.plan.Findings = example(m.plan.Findings, m.settings.Examples, remark(f))
		case o.Kind == Twice: // has a list of its own
			m.plan.Inputs.Notes++
		default:
			m.plan.Inputs.Notes++
			m.notes = example(m.notes, m.settings.Examples, remark(f))
		}
	}
}

// wrong counts what is not done. A row that has three faults is one row.
func (m *maker) wrong(o *Outcome) {
	if o.Input.Source == "" {
		if !source.Blocking(o.Findings) {
			return
		}
		row := o.Findings[0].Row()
		if row == m.said {
			return
		}
		m.said = row
	}
	m.plan.Inputs.Total++
	m.plan.Inputs.Invalid++
}

// pay counts what is done.
func (m *maker) pay(o *Outcome, price Price) {
	in := &m.plan.Inputs
	in.New++
	if o.Key == "" {
		in.Unread++
	}
	s := m.of(o.Job)
	s.items++
	cost := toMicros(price.Upload) + toMicros(price.Extend)
	if o.Clip == nil && !o.Shared {
		s.uploads++
		m.stage(o)
	} else {
		s.clip++
		cost -= toMicros(price.Upload)
		m.saved += toMicros(price.Upload)
	}
	if o.Clip != nil {
		m.clips.add(o.Clip.Clip.Expires)
	}
	if o.Job.Params != nil {
		s.extends++
	}
	s.credits += cost
	if limit, known := s.limit(); known && s.credits <= limit {
		s.fits = s.items
	}
	o.Credits = cost.credits()
	m.plan.PricesAssumed = m.plan.PricesAssumed || price.Assumed
}

// reuse counts what was paid for.
func (m *maker) reuse(o *Outcome, price Price) {
	m.plan.Inputs.Reused++
	m.saved += toMicros(price.Upload) + toMicros(price.Extend)
	if !o.Entry.Archived() {
		m.results.add(o.Entry.Expires)
	}
	m.plan.Reused = example(m.plan.Reused, m.settings.Examples, Reused{
		Origin: o.Input.Origin, Source: o.Input.Source, Session: o.Entry.Session, Item: o.Entry.Item,
		AudioIDs: append([]string{}, o.Entry.AudioIDs...), Files: append([]string{}, o.Entry.Files...), Expires: o.Entry.Expires,
	})
}

// stage counts a file that has to get to its provider.
func (m *maker) stage(o *Outcome) {
	if o.Job.Staging == "" {
		return
	}
	s := m.staging[o.Job.Staging]
	if s == nil {
		s = &Staging{How: o.Job.Staging}
		m.staging[o.Job.Staging] = s
	}
	s.Files++
	s.Bytes += max(o.Input.Probed.Size, 0)
	if o.Input.Probed.Size <= 0 {
		s.Unsized++
	}
}

// of finds the job's account, or adds one without limits.
func (m *maker) of(j Job) *sums {
	for _, s := range m.sums {
		if s.account.Provider == j.Provider && s.account.Name == j.Account {
			return s
		}
	}
	s := &sums{account: Account{Provider: j.Provider, Name: j.Account}}
	m.sums = append(m.sums, s)
	return s
}

// finish makes the plan of what was counted.
func (m *maker) finish() *Plan {
	p := m.plan
	var total micros
	for _, s := range m.sums {
		m.hash.account(s.account)
		if s.items == 0 {
			continue
		}
		total += s.credits
		p.Accounts = append(p.Accounts, s.plan())
		p.Seconds = max(p.Seconds, p.Accounts[len(p.Accounts)-1].Seconds)
	}
	p.Credits, p.CreditsSaved = total.credits(), m.saved.credits()
	for _, s := range m.staging {
		p.Staging = append(p.Staging, *s)
	}
	slices.SortFunc(p.Staging, func(a, b Staging) int { return strings.Compare(a.How, b.How) })
	for _, note := range m.notes {
		p.Findings = example(p.Findings, m.settings.Examples, note)
	}
	m.retention()
	p.Warnings = append(p.Warnings, p.warnings()...)
	p.Hash = m.hash.sum()
	return p
}

// plan is an account's part.
func (s *sums) plan() AccountPlan {
	p := AccountPlan{
		Provider: s.account.Provider, Account: s.account.Name, Items: s.items, Uploads: s.uploads, Extends: s.extends,
		ClipsReused: s.clip, Credits: s.credits.credits(), Balance: s.account.Balance, Budget: s.account.Budget, Fits: s.items,
	}
	if limit, known := s.limit(); known && s.credits > limit {
		p.Short, p.Fits = (s.credits - limit).credits(), s.fits
	}
	p.Seconds, p.Limit = s.account.takes(s.uploads, s.extends)
	return p
}
