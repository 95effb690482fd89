package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/bulk"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/internal/timing"
)

// plannedFor is how long a plan is remembered, to say what moved since it was made.
const plannedFor = 30 * 24 * time.Hour

// fetchTakes is what fetching one result is reckoned with.
const fetchTakes = 5 * time.Second

// planning is what a plan of a command is made with: the very same for segue plan and
// for the run that holds to it. balance is nil where it is not known.
func (s *system) planning(ctx context.Context, sub *submission, accountName string, balance *float64) (bulk.Settings, error) {
	t := sub.target
	budget, err := s.leftToSpend(ctx, sub, accountName)
	if err != nil {
		return bulk.Settings{}, err
	}
	price := bulk.Price{Extend: t.info.Prices.Extend, Assumed: s.assumed(t)}
	if t.info.Uploads.Paid {
		price.Upload = t.info.Prices.Upload
	}
	return bulk.Settings{
		Now: time.Now(), Again: sub.again, Results: s.index.Get, Clips: s.index.Clips,
		Job:   sub.job(accountName),
		Price: func(bulk.Job) bulk.Price { return price },
		Accounts: []bulk.Account{{
			Provider: t.provider.Name, Name: accountName, Balance: balance, Budget: budget,
			Submit: t.info.Limits.Submit.N, Per: t.info.Limits.Submit.Per, InFlight: t.info.Limits.InFlight,
			Upload: s.uploadTakes(ctx, t), Extend: s.typical(ctx, t, session.StepExtend, sub.params.Model),
			Retention: t.info.Retention,
		}},
		Fetching: bulk.Fetching{AtOnce: s.config().Worker.Concurrency.Fetch, Each: fetchTakes},
	}, nil
}

// uploadTakes is how long an upload takes that is an operation of its own.
func (s *system) uploadTakes(ctx context.Context, t target) time.Duration {
	if !t.info.Uploads.Clips {
		return 0
	}
	return s.typical(ctx, t, session.StepUpload, "")
}

// typical is how long an operation takes: as learned, or else until it is advised to
// ask about it for the first time.
func (s *system) typical(ctx context.Context, t target, step session.StepName, model string) time.Duration {
	took, known := timing.NewBook(s.rdb).Typical(ctx, timing.Kind(t.provider.Name, string(step), model))
	if !known {
		return t.info.Poll.Min
	}
	return took
}

// assumed says that the prices are the driver's guess, which nobody has put right.
func (s *system) assumed(t target) bool {
	known, err := s.app.providers.Info(t.provider.Driver)
	return err == nil && known.Prices.Assumed && len(unsetPrices(s.config(), t.provider, t.info)) > 0
}

// leftToSpend is the least that a budget leaves: of the account, of its day, and of
// the session. Nil is no limit.
func (s *system) leftToSpend(ctx context.Context, sub *submission, accountName string) (*float64, error) {
	least := sub.budget
	acc, err := sub.target.provider.Account(accountName)
	if err != nil || acc.Budget == nil && acc.DailyBudget == nil {
		return least, nil //nolint:nilerr // an account of workers elsewhere has budgets that only they know
	}
	state, err := s.ledger.State(ctx, ledger.Account{Provider: sub.target.provider.Name, Name: accountName})
	if err != nil {
		return nil, err
	}
	for _, limit := range []struct {
		budget *float64
		spent  ledger.Totals
	}{{acc.Budget, state.Totals}, {acc.DailyBudget, state.Today}} {
		if limit.budget == nil {
			continue
		}
		if left := max(*limit.budget-limit.spent.Spent-limit.spent.Reserved, 0); least == nil || left < *least {
			least = &left
		}
	}
	return least, nil
}

// job says what is to be done with an input, and what is wrong with that.
func (s *submission) job(accountName string) func(source.Inspected) bulk.Job {
	asked := &enqueue.Session{}
	if s.extend {
		asked.Extend = &s.params
	}
	info := s.target.info
	return func(in source.Inspected) bulk.Job {
		item := itemOf(in, s)
		j := bulk.Job{Provider: s.target.provider.Name, Account: accountName, Staging: way(info, in)}
		for _, finding := range check(info, asked, &item, in) {
			j.Reasons = append(j.Reasons, finding.Reason)
		}
		extend := item.Extend
		if extend == nil && !item.UploadOnly {
			extend = asked.Extend
		}
		if extend != nil {
			if extend.ContinueAt == 0 {
				j.Reasons = append(j.Reasons, "continue-at is missing (or 0)"+whereTo)
			}
			j.Params = resolved(info, paramsOf(extend, in.Probed.Duration))
		}
		j.Bound = bound(j.Params)
		j.Clips = info.Uploads.Clips && j.Params != nil
		return j
	}
}

// way is how an input gets to the provider.
func way(info provider.Info, in source.Inspected) string {
	switch {
	case info.Uploads.By == provider.ByBytes:
		return "upload"
	case in.Path != "":
		return "a staged URL"
	case isObject(in.URL):
		return "a signed URL of the object store"
	}
	return "its own URL"
}

// inspectedOf gives inputs that were found before as an Inspector does.
func inspectedOf(inputs []source.Inspected) iter.Seq2[source.Inspected, *source.Finding] {
	return func(yield func(source.Inspected, *source.Finding) bool) {
		for _, in := range inputs {
			if !yield(in, nil) {
				return
			}
		}
	}
}

func planKey(hash string) string { return "segue:plan:" + hash }

// note remembers a plan.
func (s *system) note(ctx context.Context, plan *bulk.Plan) error {
	text, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	if err := s.rdb.Set(ctx, planKey(plan.Hash), text, plannedFor).Err(); err != nil {
		return fault.Uncharged(fault.Unavailable, "segue.note", err)
	}
	return nil
}

// noted is a plan that was remembered; nil when it was not, or long ago.
func (s *system) noted(ctx context.Context, hash string) (*bulk.Plan, error) {
	const op = "segue.noted"
	text, err := s.rdb.Get(ctx, planKey(hash)).Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, nil //nolint:nilnil // it is no error to have forgotten a plan
	case err != nil:
		return nil, fault.Uncharged(fault.Unavailable, op, err)
	}
	plan := &bulk.Plan{}
	if err := json.Unmarshal(text, plan); err != nil {
		return nil, fault.Uncharged(fault.Malformed, op, err)
	}
	return plan, nil
}

// planned is a balance as the plan that must hold takes it: one that was made without
// knowing the balance does not depend on it.
func (s *system) planned(ctx context.Context, hash string, balance *float64) (*float64, error) {
	if hash == "" {
		return balance, nil
	}
	before, err := s.noted(ctx, hash)
	if err != nil || before == nil {
		return balance, err
	}
	for _, acc := range before.Accounts {
		if acc.Balance != nil {
			return balance, nil
		}
	}
	return nil, nil //nolint:nilnil // not known
}

// moved says in which way a plan is not what was planned.
func (s *system) moved(ctx context.Context, hash string, now *bulk.Plan) error {
	before, err := s.noted(ctx, hash)
	if err != nil {
		return err
	}
	what := "no such plan is remembered here, so what moved is not known"
	if before != nil {
		what = strings.Join(differences(before, now), "; ")
	}
	return &failure{
		exitUsage, fmt.Errorf("this is not what was planned: %s; nothing was sent", what),
		"segue plan with the same arguments, which shows what it is now (" + now.Hash + ")",
	}
}

// differences are what moved between two plans, a few words each.
func differences(before, now *bulk.Plan) []string {
	var all []string
	count := func(what string, was, is int) {
		if was != is {
			all = append(all, fmt.Sprintf("%s: %d, and were %d", what, is, was))
		}
	}
	count("inputs", before.Inputs.Total, now.Inputs.Total)
	count("inputs to be done", before.Inputs.New, now.Inputs.New)
	count("inputs paid for already", before.Inputs.Reused, now.Inputs.Reused)
	count("inputs there twice", before.Inputs.Duplicates, now.Inputs.Duplicates)
	if len(all) == 0 && before.Credits != now.Credits {
		all = append(all, fmt.Sprintf("prices: %s in all, and were %s", credits(now.Credits), credits(before.Credits)))
	}
	all = append(all, accountDifferences(before.Accounts, now.Accounts)...)
	if len(all) == 0 {
		all = []string{"the contents or the parameters of an input"}
	}
	return all
}

func accountDifferences(before, now []bulk.AccountPlan) []string {
	var all []string
	for n := range min(len(before), len(now)) {
		was, is := &before[n], &now[n]
		name := is.Provider + "/" + is.Account
		if was.Provider != is.Provider || was.Account != is.Account {
			all = append(all, fmt.Sprintf("the account: %s, and was %s/%s", name, was.Provider, was.Account))
			continue
		}
		all = append(all, moved("the balance of "+name, "not known", was.Balance, is.Balance)...)
		all = append(all, moved("what budgets leave to "+name, "no limit", was.Budget, is.Budget)...)
	}
	return all
}

// moved compares two amounts; none is what is said of one that is not there.
func moved(what, none string, was, is *float64) []string {
	if was == is || was != nil && is != nil && *was == *is {
		return nil
	}
	word := func(amount *float64) string {
		if amount == nil {
			return none
		}
		return number(*amount)
	}
	return []string{fmt.Sprintf("%s: %s, and was %s", what, word(is), word(was))}
}
