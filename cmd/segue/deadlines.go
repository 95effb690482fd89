package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/doctor"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/retention"
	"github.com/segue-audio/segue/internal/session"
)

// atRisk is what a session has at its provider that nobody has archived, when half of
// the time is over for which the provider keeps it.
type atRisk struct {
	// Items are those that have passed half of it, and Percent is how much of it has
	// passed for the one that is deleted first, at FirstDeleted.
	Items        int       `json:"items"`
	Percent      int       `json:"percentOfRetention"`
	FirstDeleted time.Time `json:"firstDeleted"`
}

// atRisk looks through a session that is waiting for its archive; nil is nothing at risk.
func (s *system) atRisk(ctx context.Context, current *session.Session) (*atRisk, error) {
	archiving := 0
	for label, n := range current.Counts {
		if step, _, _ := strings.Cut(label, "."); step == string(session.StepFetch) {
			archiving += n
		}
	}
	p, err := s.config().Provider(current.Provider)
	if archiving == 0 || err != nil {
		return nil, nil //nolint:nilerr // a provider of another machine's configuration: its workers look
	}
	info, err := s.info(p)
	if err != nil || info.Retention <= 0 {
		return nil, nil //nolint:nilerr // the same
	}
	now, err := s.store.Now(ctx)
	if err != nil {
		return nil, err
	}
	var found atRisk
	err = s.store.Each(ctx, current.ID, 0, 0, func(it *session.Item) error {
		deadline := retention.Deadline(it, info.Retention)
		if !retention.Awaits(it) || deadline.IsZero() || retention.Level(deadline, now, info.Retention) == 0 {
			return nil
		}
		found.Items++
		if found.FirstDeleted.IsZero() || deadline.Before(found.FirstDeleted) {
			found.FirstDeleted = deadline.UTC()
			found.Percent = 100 - int(100*deadline.Sub(now)/info.Retention)
		}
		return nil
	})
	if err != nil || found.Items == 0 {
		return nil, err
	}
	return &found, nil
}

// printRisk says what will be lost when nobody acts.
func (a *app) printRisk(r *atRisk, id string) {
	if r == nil {
		return
	}
	fmt.Fprintf(a.stdout, "%s not archived yet; %d %% of the time is over for which the provider keeps them, and the first is deleted at %s (segue results %s --out DIR saves them)\n",
		plural(r.Items, "finished file"), r.Percent, r.FirstDeleted.Format(time.RFC3339), id)
}

// deadlines are the doctor's findings about results that providers will delete.
func (e *examination) deadlines(ctx context.Context, rdb redis.UniversalClient) []doctor.Finding {
	const check = "archive.deadlines"
	book, store := retention.NewBook(rdb), session.NewStore(rdb)
	now, err := store.Now(ctx)
	if err != nil {
		return []doctor.Finding{{Check: check, Level: doctor.Warning, Text: "what is not archived could not be looked at: " + fault.Reason(err)}}
	}
	var findings []doctor.Finding
	for _, name := range e.cfg.ProviderNames() {
		p, err := e.cfg.Provider(name)
		if err != nil {
			continue
		}
		info, err := e.info(p)
		if err != nil || info.Retention <= 0 {
			continue
		}
		late, err := book.Late(ctx, name, info.Retention, now)
		if err != nil {
			return append(findings, doctor.Finding{Check: check, Level: doctor.Warning, Text: "what is not archived could not be looked at: " + fault.Reason(err)})
		}
		findings = append(findings, lateFinding(check, name, late)...)
	}
	if len(findings) == 0 {
		findings = append(findings, doctor.Finding{Check: check, Level: doctor.OK, Text: "nothing that is not archived is near its provider's deletion"})
	}
	return findings
}

// lateFinding judges how many results of a provider have passed each level.
func lateFinding(check, provider string, late []int) []doctor.Finding {
	for n, many := range slices.Backward(late) {
		if many == 0 {
			continue
		}
		level := doctor.Warning
		if n == len(late)-1 {
			level = doctor.Error
		}
		return []doctor.Finding{{
			Check: check, Level: level,
			Text: fmt.Sprintf("%s not archived, and %d %% of the time is over for which %s keeps them", plural(many, "finished file"), retention.Levels()[n], provider),
			Cure: "see to the archive and the workers (their log names the sessions); segue results SESSION --out DIR saves a session's files meanwhile",
		}}
	}
	return nil
}
