package mountsea_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/simulator"
)

// bookkeeping is a simulated MountSea whose clock is moved by hand.
func bookkeeping(t *testing.T, seed int64, change func(*simulator.Options)) (*serving, provider.Driver) {
	t.Helper()
	s := serveRigWith(t, seed, change)
	d := s.open(t, s.base, key, s.client)
	return s, d
}

// about asks for the books of the minutes around now.
func (s *serving) about(t *testing.T, d provider.Driver, step, session string) (*provider.Books, error) {
	t.Helper()
	now := s.now()
	return witness(t, d).Books(t.Context(), &provider.Question{Step: step, Session: session, From: now.Add(-time.Minute), Until: now})
}

// pass lets five minutes pass, and every upload end.
func (s *serving) pass(t *testing.T) {
	t.Helper()
	if err := s.sim.Settle(t.Context()); err != nil {
		t.Fatalf("Settle: %v", err)
	}
	s.settle()
}

func (s *serving) send(t *testing.T, d provider.Driver, session string) (*provider.Accepted, error) {
	t.Helper()
	r := s.upload("song")
	r.Session = session
	return d.Upload(t.Context(), r)
}

// TestSimulatedBooks counts more than a page of charges among others, for seeds
// that write the paths in both ways.
func TestSimulatedBooks(t *testing.T) {
	for seed := range int64(4) {
		t.Run(fmt.Sprintf("seed %d", seed+1), func(t *testing.T) {
			s, d := bookkeeping(t, seed+1, func(o *simulator.Options) { o.NoFetch = true })
			session, err := opener(t, d).OpenSession(t.Context())
			if err != nil {
				t.Fatalf("OpenSession: %v", err)
			}
			for n := range 120 {
				bound := ""
				if n%10 != 0 {
					bound = session
				}
				if _, err := s.send(t, d, bound); err != nil {
					t.Fatalf("Upload: %v", err)
				}
			}
			s.pass(t)
			for _, ask := range []struct {
				step, session  string
				charges, clips int
			}{{"upload", session, 108, 108}, {"upload", "", 12, 0}, {"extend", session, 0, 0}} {
				books, err := s.about(t, d, ask.step, ask.session)
				if err != nil || books.Charges != ask.charges || len(books.Clips) != ask.clips {
					t.Errorf("Books of %s in session %q: %+v, %v; want %d charges, %d clips", ask.step, ask.session, books, err, ask.charges, ask.clips)
				}
			}
			if v := s.sim.Verdict(); v.BadRequests+v.UnknownPaths+v.WrongKey+v.Unauthenticated+len(v.UnknownFields)+len(v.MissingFields) != 0 {
				t.Errorf("the simulator's verdict: %+v, want no complaint", v)
			}
		})
	}
}

// TestLostAnswerIsInTheBooks is what the books are for: answers that were lost,
// before and after the request was billed.
func TestLostAnswerIsInTheBooks(t *testing.T) {
	for kind, want := range map[simulator.Kind]int{simulator.DropBefore: 0, simulator.DropAfter: 1, simulator.ErrorAfter: 1, simulator.TruncateAfter: 1} {
		s, d := bookkeeping(t, 5, func(o *simulator.Options) { o.NoFetch = true })
		session, err := opener(t, d).OpenSession(t.Context())
		if err != nil {
			t.Fatalf("OpenSession: %v", err)
		}
		if err := s.sim.Script(simulator.Next{Endpoint: "mountsea.item", Kind: kind, Count: 1}); err != nil {
			t.Fatalf("Script: %v", err)
		}
		if _, err := s.send(t, d, session); fault.ChargeOf(err) != fault.ChargeUnknown {
			t.Fatalf("%s: %v, want an unknown charge", kind, err)
		}
		s.pass(t)
		books, err := s.about(t, d, "upload", session)
		if err != nil || books.Charges != want || len(books.Clips) != want {
			t.Errorf("%s: %+v, %v; want %d charges and clips", kind, books, err, want)
		}
	}
}

// TestBooksThatLag holds Info to the promise that it makes of the simulator's lag.
func TestBooksThatLag(t *testing.T) {
	s, d := bookkeeping(t, 5, func(o *simulator.Options) { o.NoFetch, o.BooksDelay = true, 5*time.Minute })
	if err := s.sim.Script(simulator.Next{Endpoint: "mountsea.upload", Kind: simulator.BooksLag, Count: 1}); err != nil {
		t.Fatalf("Script: %v", err)
	}
	if _, err := s.send(t, d, ""); err != nil {
		t.Fatalf("Upload: %v", err)
	}
	if books, err := s.about(t, d, "upload", ""); err != nil || books.Charges != 0 {
		t.Errorf("at once: %+v, %v; want no charge yet", books, err)
	}
	s.pass(t)
	if books, err := s.about(t, d, "upload", ""); err != nil || books.Charges != 1 {
		t.Errorf("after five minutes: %+v, %v; want the charge", books, err)
	}
}

func TestBooksThatCannotBeRead(t *testing.T) {
	s, d := bookkeeping(t, 5, nil)
	if err := s.sim.Script(simulator.Next{Endpoint: "mountsea.points", Kind: simulator.BooksError, Count: 1}); err != nil {
		t.Fatalf("Script: %v", err)
	}
	for _, want := range []fault.Code{fault.Unavailable, ""} {
		if books, err := s.about(t, d, "extend", ""); fault.CodeOf(err) != want || (books == nil) != (want != "") {
			t.Errorf("Books = %+v, %v; want code %q", books, err, want)
		}
	}
	s, d = bookkeeping(t, 5, func(o *simulator.Options) { o.NoBalance = true })
	if books, err := s.about(t, d, "extend", ""); books != nil || fault.CodeOf(err) != fault.NotFound {
		t.Errorf("no credits host: %+v, %v; want not_found", books, err)
	}
	if _, err := d.Credits(t.Context()); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("no credits host: Credits: %v, want not_found", err)
	}
}
