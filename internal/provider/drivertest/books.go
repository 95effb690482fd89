package drivertest

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// checkEvidence holds what Info says can settle an outcome to what there is. A
// balance may be no evidence; callbacks and books that are none need not be there.
func checkEvidence(tb testing.TB, h *Harness) {
	tb.Helper()
	_, reads := h.Driver.(provider.CallbackReader)
	_, lists := h.Driver.(provider.Witness)
	if h.Info.Callbacks != reads {
		tb.Errorf("callbacks %t, and the driver can read one: %t; want the same", h.Info.Callbacks, reads)
	}
	e := h.Info.Evidence
	if e.Callback < 0 || (e.Callback > 0) != reads {
		tb.Errorf("the horizon of callbacks is %v, and there are callbacks: %t; want it above 0 where there are, and 0 where not", e.Callback, reads)
	}
	if e.Balance < 0 || e.Balance > 0 && h.NoBalance {
		tb.Errorf("the balance is evidence after %v, and there is a balance: %t", e.Balance, !h.NoBalance)
	}
	if e.Books < 0 || (e.Books > 0) != lists {
		tb.Errorf("the books are evidence after %v, and there are books: %t; want it above 0 where there are, and 0 where not", e.Books, lists)
	}
}

// testimony is a chain that was charged, and what may be asked about it.
type testimony struct {
	witness   provider.Witness
	out       *result
	from      time.Time
	questions []*provider.Question
}

// testify runs a chain, inside a session where there are sessions; nil when the
// driver is no witness.
func testify(tb testing.TB, h *Harness) *testimony {
	tb.Helper()
	witness, ok := h.Driver.(provider.Witness)
	if !ok {
		return nil
	}
	t := &testimony{witness: witness, from: h.now()}
	r := h.Upload()
	r.Session = openSession(tb, h)
	var err error
	if t.out, err = h.chain(tb.Context(), r); err != nil {
		tb.Fatalf("a chain without trouble: %v", err)
	}
	for _, step := range []string{"upload", "extend"} {
		if step == "extend" || h.Info.Uploads.Paid {
			t.questions = append(t.questions, &provider.Question{Step: step, Session: r.Session, From: t.from, Until: h.now()})
		}
	}
	return t
}

func openSession(tb testing.TB, h *Harness) string {
	tb.Helper()
	opener, ok := h.Driver.(provider.SessionOpener)
	if !ok {
		return ""
	}
	session, err := opener.OpenSession(tb.Context())
	if err != nil {
		tb.Fatalf("OpenSession: %v", err)
	}
	return session
}

func (h *Harness) now() time.Time {
	if h.Now == nil {
		return time.Now()
	}
	return h.Now()
}

func (t *testimony) call(q *provider.Question) call {
	return call{"Books of " + q.Step, func(ctx context.Context) error {
		books, err := t.witness.Books(ctx, q)
		if (books == nil) == (err == nil) {
			return fmt.Errorf("%w: got %+v, and an error: %t", errBoth, books, err != nil)
		}
		return err
	}}
}

// booksCalls are the questions for the provider's lists where there are some.
func booksCalls(tb testing.TB, h *Harness) []call {
	tb.Helper()
	t := testify(tb, h)
	if t == nil {
		return nil
	}
	calls := make([]call, 0, len(t.questions))
	for _, q := range t.questions {
		calls = append(calls, t.call(q))
	}
	return calls
}

// checkBooks holds a witness to the facts, and then to saying so when it cannot
// know them: what it leaves out of a list lets a paid request be sent again.
func checkBooks(tb testing.TB, open Open) {
	tb.Helper()
	h, w := start(tb, open)
	t := testify(tb, h)
	if t == nil {
		return
	}
	charges := h.Charges()
	for _, q := range t.questions {
		t.checkFacts(tb, h, q)
	}
	if got := h.Charges() - charges; got != 0 {
		tb.Errorf("asking for the books was billed %d times, want 0", got)
	}
	for _, q := range t.questions {
		c := t.call(q)
		eachPart(tb, h, w, c, func(o outcome) {
			o.checkCode(tb)
			o.checkSecrets(tb, h)
			if f := asFault(tb, o.name(), o.err); f != nil && f.Charge != fault.ChargeNone {
				tb.Errorf("%s: charge %q of a question, want %q: %v", o.name(), f.Charge, fault.ChargeNone, f)
			}
		})
		t.checkMissingLists(tb, w, c)
		checkContext(tb, w, c, fault.ChargeNone)
	}
}

// checkFacts asks about what happened, twice, about a time when nothing did, and
// about another session.
func (t *testimony) checkFacts(tb testing.TB, h *Harness, q *provider.Question) {
	tb.Helper()
	books, err := t.witness.Books(tb.Context(), q)
	again, errAgain := t.witness.Books(tb.Context(), q)
	switch {
	case err != nil || errAgain != nil || books == nil:
		tb.Fatalf("Books of %s: %+v, %v, %v; want an answer", q.Step, books, err, errAgain)
	case !reflect.DeepEqual(books, again):
		tb.Errorf("Books of %s: %+v, and when asked again %+v", q.Step, books, again)
	case books.Clips == nil && books.Charges < 0:
		tb.Errorf("Books of %s: no list at all, want one", q.Step)
	}
	if books.Charges != 1 && books.Charges != -1 {
		tb.Errorf("Books of %s: %d charges, want the 1 there was", q.Step, books.Charges)
	}
	if books.Clips != nil && !slices.Equal(books.Clips, []string{t.out.clip.ID}) {
		tb.Errorf("Books of %s: clips %q, want %q", q.Step, books.Clips, t.out.clip.ID)
	}
	quiet := *q
	quiet.From, quiet.Until, quiet.Session = t.from.Add(-50*time.Hour), t.from.Add(-49*time.Hour), openSession(tb, h)
	none, err := t.witness.Books(tb.Context(), &quiet)
	if err != nil || none.Charges > 0 || len(none.Clips) > 0 || (none.Clips == nil) != (books.Clips == nil) || (none.Charges < 0) != (books.Charges < 0) {
		tb.Errorf("Books of %s for another time and session: %+v, %v; want the same lists, and nothing on them", q.Step, none, err)
	}
}

// eachPart lets every trouble happen to the first request of a call, to the
// second, and so on.
func eachPart(tb testing.TB, h *Harness, w *Wire, c call, judge func(outcome)) {
	tb.Helper()
	for part := 0; ; part++ {
		for _, tr := range troubles(h) {
			if err := h.connect(tb.Context()); err != nil {
				tb.Fatalf("asking before %s, %s: %v", c.name, tr.name, err)
			}
			before := w.counts().trips
			o := outcome{call: fmt.Sprintf("request %d of %s", part+1, c.name), trouble: tr}
			w.after(part, tr, func() { o.err = c.make(tb.Context()) })
			if w.counts().trips-before <= part {
				if o.err != nil {
					tb.Errorf("%s without trouble: %v", c.name, o.err)
				}
				return // it has no such part
			}
			judge(o)
		}
	}
}

// checkMissingLists takes the lists out of good answers.
func (t *testimony) checkMissingLists(tb testing.TB, w *Wire, c call) {
	tb.Helper()
	for _, loss := range []struct {
		name string
		edit func(any) any
	}{
		{"without its lists", relist(func(object map[string]any, field string) { delete(object, field) })},
		{"with null for its lists", relist(func(object map[string]any, field string) { object[field] = nil })},
		{"with words for its lists", relist(func(object map[string]any, field string) { object[field] = "none" })},
	} {
		for part := 0; ; part++ {
			before, changed := w.counts().trips, false
			edit := func(body []byte) []byte {
				out := edited(tb, body, loss.edit)
				changed = changed || !bytes.Equal(out, edited(tb, body, func(v any) any { return v }))
				return out
			}
			var err error
			w.after(part, trouble{answer: rewrite(edit)}, func() { err = c.make(tb.Context()) })
			if w.counts().trips-before <= part {
				break
			}
			if changed && fault.CodeOf(err) != fault.Malformed {
				tb.Errorf("%s, request %d answered %s: %v; want a malformed error", c.name, part+1, loss.name, err)
			}
		}
	}
}

// relist changes the fields that hold lists.
func relist(change func(object map[string]any, field string)) func(any) any {
	return func(value any) any {
		object, ok := value.(map[string]any)
		if !ok {
			return value
		}
		for field, held := range object {
			if _, list := held.([]any); list {
				change(object, field)
			}
		}
		return object
	}
}
