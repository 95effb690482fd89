package certify

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// judge waits until the provider's books are complete, and judges.
func (r *run) judge(ctx context.Context) (*Judgement, error) {
	r.tell(Progress{Stage: "judging"})
	if err := r.awaitBooks(ctx); err != nil {
		return nil, err
	}
	verdict, err := r.book.verdict(ctx)
	if err != nil {
		return nil, err
	}
	truth := &Truth{Batches: r.batches, Paid: r.vendor.paid}
	if truth.Charges, err = r.book.charges(ctx, 0); err != nil {
		return nil, err
	}
	sessions, err := r.system.Sessions(ctx)
	if err != nil {
		return nil, err
	}
	if truth.Made, err = r.clips(ctx, truth, sessions); err != nil {
		return nil, err
	}
	j := Judge(truth, sessions)
	// The provider counts by account and parameters too: two counts that disagree are
	// a defect of one of them.
	if verdict.ExtraCharges != j.Extra {
		j.Breaches = append(j.Breaches, Breach{paidOnce, fmt.Sprintf("the provider counts %d extra charges, the log holds %d", verdict.ExtraCharges, j.Extra)})
	}
	if verdict.WrongAccount > 0 {
		j.Breaches = append(j.Breaches, Breach{nothingLost, fmt.Sprintf("%d requests used another account's things", verdict.WrongAccount)})
	}
	return j, nil
}

// awaitBooks returns when no request is on its way, and the provider knows what each
// of its charges was for.
func (r *run) awaitBooks(ctx context.Context) error {
	const patience = time.Minute
	deadline := time.Now().Add(patience)
	for {
		heard, err := r.book.heard(ctx)
		if err != nil {
			return err
		}
		if heard && r.Gateway.quiet() {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the provider's books are not complete after %s", patience)
		}
		if !pause(ctx, 50*time.Millisecond, false) {
			return ctx.Err()
		}
	}
}

// clips asks the provider what came of every operation that the judgement may depend
// on: the one that a song's audioIds are of, and those whose number is on no record.
func (r *run) clips(ctx context.Context, t *Truth, sessions []Session) (map[string][]string, error) {
	if r.made == nil {
		r.made = map[string][]string{}
	}
	operations := map[job]string{}
	for n := range t.Charges {
		c := &t.Charges[n]
		operations[job{c.AudioSHA256, c.Endpoint}] = c.OperationID
	}
	for n := range sessions {
		s := &sessions[n]
		batch := t.Batches[s.ID]
		for i := range min(len(s.Items), len(batch.Songs)) {
			for step, endpoint := range t.Paid {
				operation := operations[job{batch.Songs[i].SHA256, endpoint}]
				last := step == batch.Last && s.Items[i].State == "succeeded"
				if operation == "" || (!last && slices.Contains(s.Items[i].Operations, operation)) {
					continue
				}
				if err := r.ask(ctx, batch.Account, operation); err != nil {
					return nil, err
				}
			}
		}
	}
	return r.made, nil
}

// ask asks about one operation, once.
func (r *run) ask(ctx context.Context, account, operation string) error {
	if len(r.made[operation]) > 0 {
		return nil
	}
	ids, err := r.book.made(ctx, r.Key(account), operation)
	r.made[operation] = ids
	return err
}
