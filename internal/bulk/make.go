package bulk

import (
	"context"
	"iter"
	"strconv"

	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/fault"
)

// lookups is how many keys are looked up at once.
const lookups = 500

// Make plans what a run over the inputs would do. Inputs are an Inspector's: a
// finding with an empty input is about an argument or a row.
//
// The hash is over the outcomes in their order and the accounts: of an input its
// content (or, where that is not known, its address and state), its parameters,
// its price and what becomes of it; of a finding its input and reason; of an account
// its balance and budget, as they were given. Limits, times and places of files do
// not move it.
//
// Errors are ctx's, the lookups' and those of Settings.Each.
func Make(ctx context.Context, inputs iter.Seq2[source.Inspected, *source.Finding], s Settings) (*Plan, error) {
	m := newMaker(s)
	for in, finding := range inputs {
		if err := ctx.Err(); err != nil {
			break
		}
		m.take(in, finding)
		if len(m.waiting) >= lookups {
			if err := m.flush(ctx); err != nil {
				return nil, err
			}
		}
	}
	// An iterator that was cut off looks like one that has ended.
	if err := ctx.Err(); err != nil {
		return nil, fault.Uncharged(fault.CodeOf(err), "bulk.Make", err)
	}
	if err := m.flush(ctx); err != nil {
		return nil, err
	}
	return m.finish(), nil
}

// maker is the state of one Make.
type maker struct {
	settings Settings
	plan     *Plan
	sums     []*sums
	hash     *hasher
	// seen are the keys of what is done in this run.
	seen source.Seen
	// uploads are the clips that this run makes, by the first digits of their keys: one
	// taken for another in billions is one upload reckoned with too few.
	uploads map[uint64]struct{}
	// waiting are outcomes whose keys have not been looked up.
	waiting []Outcome
	// said is the row that the last finding without an input was about.
	said    string
	staging map[string]*Staging
	saved   micros
	// notes are examples, for where there are fewer findings.
	notes []Remark
	// expiring are the hours at which what only a provider has is deleted.
	results, clips deadlines
}

func newMaker(s Settings) *maker {
	if s.Examples == 0 {
		s.Examples = 20
	}
	m := &maker{
		settings: s, hash: newHasher(), staging: map[string]*Staging{}, results: deadlines{}, clips: deadlines{}, uploads: map[uint64]struct{}{},
		plan: &Plan{
			At: s.Now.UTC(), Accounts: []AccountPlan{}, Staging: []Staging{}, Warnings: []string{},
			Findings: []Remark{}, Duplicates: []Duplicate{}, Reused: []Reused{},
		},
	}
	for _, a := range s.Accounts {
		m.sums = append(m.sums, &sums{account: a})
	}
	return m
}

// take judges one input.
func (m *maker) take(in source.Inspected, finding *source.Finding) {
	o := Outcome{Kind: Wrong, Input: in}
	if finding != nil {
		o.Findings = append(o.Findings, *finding)
	}
	if in.Source != "" && in.Valid {
		m.judge(&o)
	}
	m.waiting = append(m.waiting, o)
}

// judge finds out what is to be done with a valid input, and whether it is there
// already in this run.
func (m *maker) judge(o *Outcome) {
	o.Job = m.settings.Job(o.Input)
	reasons := o.Job.Reasons
	if sum := o.Input.Probed.SHA256; len(reasons) == 0 && sum != "" {
		var err error
		if o.Key, err = o.Job.request(sum).Key(); err == nil && o.Job.Clips {
			o.ClipKey, err = ClipKey(sum, o.Job.Provider, o.Job.Account)
		}
		if err != nil {
			reasons = []string{fault.Reason(err)}
		}
	}
	for _, reason := range reasons {
		o.Findings = append(o.Findings, source.Finding{Origin: o.Input.Origin, Source: o.Input.Source, Reason: reason, Code: fault.Invalid})
	}
	if len(reasons) > 0 {
		return
	}
	o.Kind = New
	if o.Key == "" {
		return
	}
	first, twice := m.seen.Add(o.Key, source.Place{Source: o.Input.Source, Origin: o.Input.Origin})
	if !twice {
		return
	}
	o.Kind, o.First = Twice, first
	o.Findings = append(o.Findings, source.Finding{
		Origin: o.Input.Origin, Source: o.Input.Source, Note: true,
		Reason: "has the same content and parameters as " + first.String() + "; it is done once",
	})
}

// flush looks up what was paid for, and counts what waits.
func (m *maker) flush(ctx context.Context) error {
	if err := m.recognise(ctx); err != nil {
		return err
	}
	for n := range m.waiting {
		o := &m.waiting[n]
		m.count(o)
		if m.settings.Each != nil {
			if err := m.settings.Each(*o); err != nil {
				return err
			}
		}
	}
	clear(m.waiting)
	m.waiting = m.waiting[:0]
	return nil
}

// recognise looks up the results of what is new, and the clips of what is left.
func (m *maker) recognise(ctx context.Context) error {
	if m.settings.Again {
		return nil
	}
	if m.settings.Results != nil {
		found, err := lookUp(ctx, m.waiting, m.settings.Results, func(o *Outcome) string { return o.Key })
		if err != nil {
			return err
		}
		for n := range m.waiting {
			o := &m.waiting[n]
			if entry, ok := found[o.Key]; ok && o.Kind == New && entry.Usable(m.settings.Now) {
				o.Kind, o.Entry = Known, &entry
			}
		}
	}
	if m.settings.Clips == nil {
		return nil
	}
	found, err := lookUp(ctx, m.waiting, m.settings.Clips, func(o *Outcome) string { return o.ClipKey })
	if err != nil {
		return err
	}
	for n := range m.waiting {
		o := &m.waiting[n]
		if entry, ok := found[o.ClipKey]; ok && o.Kind == New && entry.Usable(m.settings.Now) {
			o.Clip = &entry
		}
	}
	m.share()
	return nil
}

// share finds what is uploaded in this run already: the same audio, continued in
// another way.
func (m *maker) share() {
	for n := range m.waiting {
		o := &m.waiting[n]
		if o.Kind != New || o.ClipKey == "" || o.Clip != nil {
			continue
		}
		key, _ := strconv.ParseUint(o.ClipKey[:16], 16, 64) // a key is hex digits
		if _, o.Shared = m.uploads[key]; !o.Shared {
			m.uploads[key] = struct{}{}
		}
	}
}

// lookUp asks for the keys of those outcomes that are still new.
func lookUp[E any](ctx context.Context, waiting []Outcome, find func(context.Context, ...string) (map[string]E, error), key func(*Outcome) string) (map[string]E, error) {
	keys := make([]string, 0, len(waiting))
	for n := range waiting {
		if k := key(&waiting[n]); k != "" && waiting[n].Kind == New {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	return find(ctx, keys...)
}

// count adds an outcome to the plan.
func (m *maker) count(o *Outcome) {
	m.say(o)
	if o.Kind == Wrong {
		m.wrong(o)
		m.hash.outcome(o, Price{})
		return
	}
	in := &m.plan.Inputs
	in.Total++
	in.Valid++
	in.Bytes += max(o.Input.Probed.Size, 0)
	in.AudioSeconds += o.Input.Probed.Duration.Seconds()
	price := m.settings.Price(o.Job)
	if o.Job.Params == nil {
		price.Extend = 0
	}
	switch o.Kind {
	case New:
		m.pay(o, price)
	case Known:
		m.reuse(o, price)
	case Twice:
		in.Duplicates++
		m.plan.Duplicates = example(m.plan.Duplicates, m.settings.Examples, Duplicate{Origin: o.Input.Origin, Source: o.Input.Source, First: o.First.String()})
	case Wrong:
	}
	m.hash.outcome(o, price)
}
