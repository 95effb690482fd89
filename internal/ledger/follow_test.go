package ledger_test

import (
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/session"
)

// paidItem is an item whose extend is queued.
func paidItem() *session.Item {
	it := session.NewItem(session.Source{Name: "a.mp3"}, []session.StepName{session.StepExtend}, nil)
	it.Session = "ses_a"
	return &it
}

// The books follow an item through everything that may happen to a paid request,
// and the entry of every request is reserved before it.
func TestFollow(t *testing.T) {
	claim := session.Claim{Token: "mine", Worker: "w", Credits: 12}
	why := session.Failure{Code: fault.Timeout, Step: session.StepExtend, Reason: "no answer"}
	uncharged := session.Failure{Code: fault.Rejected, Step: session.StepExtend, Charge: "not charged"}
	type write = func(*session.Item) error
	take := func(it *session.Item) error { return it.Take(claim, true) }
	accept := func(it *session.Item) error { return it.Accept("mine", &provider.Accepted{OperationID: "op"}, noon) }
	doubt := func(it *session.Item) error { return it.Doubt("mine", why, noon) }
	release := func(it *session.Item) error { return it.Release("mine", why) }
	repeat := func(it *session.Item) error { return it.Repeat(why, noon) }
	refute := func(it *session.Item) error { return it.Refute(why, noon) }
	lose := func(it *session.Item) error { return it.Lose("op", uncharged) }
	stray := func(generation int) write {
		return func(it *session.Item) error {
			return it.Stray(session.Operation{ID: "late", Step: session.StepExtend, Generation: generation, Credits: 12}, noon)
		}
	}
	cases := []struct {
		name   string
		writes []write
		want   ledger.Totals
	}{
		{"under way", []write{take}, ledger.Totals{Reserved: 12}},
		{"accepted", []write{take, accept}, ledger.Totals{Spent: 12}},
		{"refused", []write{take, release}, ledger.Totals{}},
		{"refused, then accepted", []write{take, release, take, accept}, ledger.Totals{Spent: 12}},
		{"in doubt", []write{take, doubt}, ledger.Totals{Reserved: 12}},
		{"in doubt, then found", []write{take, doubt, accept}, ledger.Totals{Spent: 12}},
		{"refuted, sent again", []write{take, doubt, refute, take}, ledger.Totals{Reserved: 12}},
		{"refuted, and charged after all", []write{take, doubt, refute, take, accept, stray(0)}, ledger.Totals{Spent: 24}},
		{"repeated: the first is presumed", []write{take, doubt, repeat, take, accept}, ledger.Totals{Spent: 24}},
		{"lost and given back", []write{take, accept, lose}, ledger.Totals{Refunded: 12}},
		{"refused, charged all the same, sent again", []write{take, release, stray(0), take}, ledger.Totals{Spent: 12, Reserved: 12}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			rdb, _ := redistest.Mini(t)
			b, it := ledger.New(rdb), paidItem()
			for n, write := range c.writes {
				before := *it
				if it.State == session.Queued {
					reserveStep(t, b, it)
				}
				if err := write(it); err != nil {
					t.Fatalf("write %d: %v", n, err)
				}
				twice(t, func() error { return b.Follow(t.Context(), main, &before, it, 0) })
			}
			checkTotals(t, b, "session", "ses_a", c.want)
		})
	}
}

// reserveStep reserves what an item's current step needs before it is claimed.
func reserveStep(t *testing.T, b *ledger.Book, it *session.Item) {
	t.Helper()
	e := ledger.Entry{Session: it.Session, Index: it.Index, Step: string(it.Step), Generation: it.Generation}
	if _, err := b.Reserve(t.Context(), ledger.Reservation{Account: main, Entry: e, Credits: 12}); err != nil {
		t.Fatal(err)
	}
}

func TestAgree(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	b := ledger.New(rdb)
	reserve(t, b, 0, 12)
	twice(t, func() error { return b.Agree(t.Context(), main, "ses_a", 24) })
	checkTotals(t, b, "session", "ses_a", ledger.Totals{Reserved: 12})
	if err := b.Keep(t.Context(), main, entry(0), time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := b.Settle(t.Context(), main, entry(0), 12); err != nil {
		t.Fatal(err)
	}
	twice(t, func() error { return b.Agree(t.Context(), main, "ses_a", 24) })
	checkTotals(t, b, "session", "ses_a", ledger.Totals{Spent: 24})
	checkTotals(t, b, "account", "", ledger.Totals{Spent: 24})
}
