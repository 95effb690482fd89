package main

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/doctor"
	"github.com/segue-audio/segue/internal/schedule"
)

// attended asks whether somebody decides about the firings of schedules. On the
// embedded Redis nobody does but segue up while it runs, which is as it should be.
func (e *examination) attended(ctx context.Context, rdb redis.UniversalClient) []doctor.Finding {
	if e.cfg.Redis.URL.IsZero() {
		return nil
	}
	return attended(ctx, schedule.NewStore(rdb), len(e.cfg.Schedules))
}

// attended looks at the schedules that schedulers know, of which the configuration has
// so many.
func attended(ctx context.Context, book *schedule.Store, configured int) []doctor.Finding {
	const check, cure = "schedules.attended", "segue scheduler (or segue up); any number may run"
	known, err := book.List(ctx)
	if err != nil {
		return nil // what Redis has to say for itself is said already
	}
	late, err := book.Unattended(ctx)
	switch {
	case err != nil, len(known) == 0 && configured == 0:
		return nil
	case late > unattendedAfter:
		return []doctor.Finding{{
			Check: check, Level: doctor.Warning, Cure: cure,
			Text: fmt.Sprintf("no scheduler has looked at the schedules for %s: nothing starts", late.Round(time.Second)),
		}}
	case len(known) == 0:
		return []doctor.Finding{{Check: check, Level: doctor.Warning, Cure: cure, Text: "no scheduler has read the configuration's schedules yet: nothing starts"}}
	}
	return []doctor.Finding{{Check: check, Level: doctor.OK, Text: plural(len(known), "schedule") + ", looked at"}}
}
