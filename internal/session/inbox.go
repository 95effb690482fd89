package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
)

// Ref names one step of one item in one generation: what a callback URL is for.
type Ref struct {
	Session    string   `json:"session"`
	Index      int      `json:"index"`
	Step       StepName `json:"step"`
	Generation int      `json:"gen"`
}

// Ref is the item's current step.
func (it *Item) Ref() Ref { return Ref{it.Session, it.Index, it.Step, it.Generation} }

// Report is what a provider reported of an item, by callback. It is a hint: the
// operation is polled.
type Report struct {
	Step       StepName `json:"step"`
	Generation int      `json:"gen"`
	Operation  string   `json:"op"`
	Kind       string   `json:"kind"`
	// Done says that it reports the operation's end.
	Done bool `json:"done"`
	// At is when it came, by Redis's clock, in Unix milliseconds.
	At int64 `json:"at"`
}

// About says whether the report is about the item's current step.
func (r *Report) About(it *Item) bool {
	return r != nil && r.Step == it.Step && r.Generation == it.Generation
}

// expectFor is how long a callback is expected: as long as any provider keeps
// results, and a little.
const expectFor = 15 * 24 * time.Hour

// keyCallback never holds a token itself: whoever reads Redis cannot call back.
func keyCallback(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "segue:callback:" + hex.EncodeToString(sum[:])
}

// Expect records what deliveries under a token are about. It comes before the
// request that tells the provider of the token.
func (s *Store) Expect(ctx context.Context, token string, about Ref) error {
	body, err := json.Marshal(about)
	if err != nil {
		return fault.New(fault.Internal, "session.Expect", err)
	}
	return down("session.Expect", s.rdb.Set(ctx, keyCallback(token), body, expectFor).Err())
}

// Expected says what deliveries under a token are about; an unknown token is
// not_found.
func (s *Store) Expected(ctx context.Context, token string) (Ref, error) {
	const op = "session.Expected"
	var about Ref
	body, err := s.rdb.Get(ctx, keyCallback(token)).Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return about, fault.New(fault.NotFound, op, errors.New("nobody expects this callback"))
	case err != nil:
		return about, down(op, err)
	}
	if err := json.Unmarshal(body, &about); err != nil {
		return about, fault.New(fault.Malformed, op, err)
	}
	return about, nil
}

// Report stores a delivery in the session's inbox and answers what the inbox
// keeps of the item: the end of an operation is not replaced by a stage of it
// that comes later.
func (s *Store) Report(ctx context.Context, about Ref, r Report) (*Report, error) {
	const op = "session.Report"
	body, err := json.Marshal(struct {
		Step       StepName `json:"step"`
		Generation int      `json:"gen"`
		Operation  string   `json:"op"`
		Kind       string   `json:"kind"`
		Done       bool     `json:"done"`
	}{about.Step, about.Generation, r.Operation, r.Kind, r.Done})
	if err != nil {
		return nil, fault.New(fault.Internal, op, err)
	}
	entry, err := reportScript.Run(ctx, s.rdb, keysOf(about.Session), about.Index, body, flag(r.Done)).Text()
	if err != nil {
		return nil, down(op, err)
	}
	return decodeReport(op, entry)
}

// Reported is what the inbox keeps of an item; nil when nothing was reported.
func (s *Store) Reported(ctx context.Context, id string, index int) (*Report, error) {
	const op = "session.Reported"
	entry, err := s.rdb.HGet(ctx, keyInbox(id), strconv.Itoa(index)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, down(op, err)
	}
	return decodeReport(op, entry)
}

func decodeReport(op, entry string) (*Report, error) {
	if entry == "" {
		return nil, nil //nolint:nilnil // nothing was reported, which is no error
	}
	report := new(Report)
	if err := json.Unmarshal([]byte(entry), report); err != nil {
		return nil, fault.New(fault.Malformed, op, err)
	}
	return report, nil
}
