package dst

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

func (v *vendor) Credits(ctx context.Context) (float64, error) {
	v.s.gate(v.s.actorOf(ctx), atCall, "credits")
	balance := 1e6
	for _, r := range v.requests {
		if r.operation != "" && !time.Now().Before(r.seen) && !v.refunded(r) {
			balance -= v.price(r.step)
		}
	}
	return balance, nil
}

// refunded says whether the provider gave back what a request cost.
func (v *vendor) refunded(r *request) bool {
	op := v.operations[r.operation]
	return op != nil && op.done && op.fails && op.refunds
}

// witness is a vendor that keeps lists.
type witness struct{ *vendor }

// clocksDiffer is what the provider's clock may be off.
const clocksDiffer = 5 * time.Minute

// Books reads the lists.
func (w witness) Books(ctx context.Context, q *provider.Question) (*provider.Books, error) {
	said := w.s.gate(w.s.actorOf(ctx), atCall, "books")
	if w.s.odds(said.roll, w.s.p.pollFails) {
		return nil, fault.New(fault.Unavailable, "vendor.Books", errors.New("down"))
	}
	books := &provider.Books{}
	for _, r := range w.requests {
		if r.operation == "" || string(r.step) != q.Step || !w.s.paid(r.step) || time.Now().Before(r.seen) {
			continue
		}
		if r.accepted.After(q.From.Add(-clocksDiffer)) && r.accepted.Before(q.Until.Add(clocksDiffer)) {
			books.Charges++
		}
	}
	for _, id := range w.order {
		op := w.operations[id]
		if q.Step == "upload" && op.of.step == session.StepUpload && op.remote == q.Session && op.done && !op.fails {
			books.Clips = append(books.Clips, "clip-"+id)
		}
	}
	return books, nil
}

func (v *vendor) price(step session.StepName) float64 {
	switch {
	case step == session.StepExtend:
		return 10
	case v.s.p.paidUpload:
		return 2
	}
	return 0
}

// shelf is an archive in memory.
type shelf struct {
	s     *sim
	files map[string][]byte
}

func (s *shelf) Keep(ctx context.Context, w archive.Want) (*archive.Kept, error) {
	said := s.s.gate(s.s.actorOf(ctx), atCall, "download "+w.Key)
	if s.s.odds(said.roll, s.s.p.pollFails) {
		code := []fault.Code{fault.Unavailable, fault.NotFound, fault.Denied}[said.roll/1000%3]
		return nil, fault.New(code, "shelf.Keep", errors.New("not now"))
	}
	return &archive.Kept{File: "/archive/" + w.Name + ".mp3", Size: 1, SHA256: "00", Format: "mp3", Duration: 3}, nil
}

func (s *shelf) Put(ctx context.Context, name string, r io.Reader) error {
	body, err := io.ReadAll(r)
	s.s.gate(s.s.actorOf(ctx), atCall, "put "+name)
	s.files[name] = body
	return err
}
