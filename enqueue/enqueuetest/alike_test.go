package enqueuetest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/segue-audio/segue/enqueue"
)

// pair does everything to a client and to a recorder, and compares the answers.
type pair struct {
	t    *rapid.T
	both [2]subject
	// ids are the sessions' ids, by number: each has its own.
	ids [2][]string
}

// TestRandomHistoriesAreAlike runs random histories; rapid prints the seed and
// the shortest one on which the two differ.
func TestRandomHistoriesAreAlike(t *testing.T) {
	onRedis := newClient(t).(*client)
	rapid.Check(t, func(rt *rapid.T) {
		onRedis.flush()
		p := &pair{t: rt, both: [2]subject{onRedis, newRecorder(t)}}
		rt.Repeat(map[string]func(*rapid.T){
			"submit": p.submit,
			"add":    p.add,
			"seal":   p.seal,
			"cancel": p.cancel,
			"end":    p.end,
			"":       p.look,
		})
	})
}

// kinds are the errors that a caller can tell apart.
var kinds = []error{enqueue.ErrInvalid, enqueue.ErrNotFound, enqueue.ErrConflict, enqueue.ErrCanceled, enqueue.ErrUnavailable}

func kind(err error) string {
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	return fmt.Sprint(err)
}

// same compares what the two answered, with every id replaced by its number.
func (p *pair) same(what string, answers [2]any, errs [2]error) {
	var texts [2]string
	for n := range texts {
		body, err := json.MarshalIndent(answers[n], "", " ")
		if err != nil {
			p.t.Fatal(err)
		}
		texts[n] = string(body) + "\n" + kind(errs[n])
		for number, id := range p.ids[n] {
			texts[n] = strings.ReplaceAll(texts[n], id, fmt.Sprintf("ses_%d", number))
		}
	}
	if diff := cmp.Diff(texts[0], texts[1]); diff != "" {
		p.t.Fatalf("%s (-client +recorder):\n%s", what, diff)
	}
}

// words of answers that JSON can carry.
type said struct {
	ID      string
	Existed bool
	Items   []string
}

func words(answers []enqueue.Answer) []string {
	all := make([]string, len(answers))
	for n, a := range answers {
		all[n] = fmt.Sprint(a.ItemID, a.Index, a.Existed, kind(a.Err))
	}
	return all
}

var (
	someKey   = rapid.SampledFrom([]string{"", "", "a", "b", "c"})
	someItems = rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) enqueue.Item {
		item := enqueue.Item{
			Source:     rapid.SampledFrom([]string{"a.mp3", "./a.mp3", "/b.mp3", "https://example.com/c.mp3", "https://example.com/d.mp3"}).Draw(t, "source"),
			Name:       rapid.SampledFrom([]string{"", "a.mp3", "song"}).Draw(t, "name"),
			Key:        someKey.Draw(t, "key"),
			UploadOnly: rapid.Bool().Draw(t, "uploadOnly"),
		}
		if rapid.Bool().Draw(t, "extended") {
			item.Extend = &enqueue.Extend{ContinueAt: rapid.SampledFrom([]float64{-5, 60, 60, 0}).Draw(t, "continueAt")}
		}
		return item
	}), 0, 3, func(i enqueue.Item) string { return fmt.Sprintf("%+v", i) })
)

func (p *pair) submit(t *rapid.T) {
	s := enqueue.Session{
		Provider: "sim", Account: rapid.SampledFrom([]string{"", "main"}).Draw(t, "account"),
		Items: someItems.Draw(t, "items"), Open: rapid.Bool().Draw(t, "open"),
		Key: rapid.SampledFrom([]string{"", "order-1", "order-2"}).Draw(t, "orderKey"),
	}
	if rapid.Bool().Draw(t, "extend") {
		s.Extend = &enqueue.Extend{ContinueAt: 30}
	}
	var submitted [2]*enqueue.Submitted
	var answers [2]any
	var errs [2]error
	for n, subject := range p.both {
		if submitted[n], errs[n] = subject.Submit(p.t.Context(), s); submitted[n] != nil {
			answers[n] = said{submitted[n].SessionID, submitted[n].Existed, words(submitted[n].Items)}
		}
	}
	if submitted[0] != nil && submitted[1] != nil {
		p.know(submitted[0].SessionID, submitted[1].SessionID)
	}
	p.same("Submit", answers, errs)
}

// know gives a session that both have the same number in both.
func (p *pair) know(client, recorder string) {
	if slices.Contains(p.ids[0], client) || slices.Contains(p.ids[1], recorder) {
		return
	}
	p.ids[0], p.ids[1] = append(p.ids[0], client), append(p.ids[1], recorder)
}

// each does something to one session in both.
func (p *pair) each(t *rapid.T, what string, do func(s subject, id string) (any, error)) {
	if len(p.ids[0]) == 0 {
		return
	}
	number := rapid.IntRange(0, len(p.ids[0])-1).Draw(t, "session")
	var answers [2]any
	var errs [2]error
	for n, subject := range p.both {
		answers[n], errs[n] = do(subject, p.ids[n][number])
	}
	p.same(what, answers, errs)
}

func (p *pair) add(t *rapid.T) {
	items := someItems.Draw(t, "items")
	p.each(t, "Add", func(s subject, id string) (any, error) {
		answers, err := s.Add(p.t.Context(), id, items...)
		return words(answers), err
	})
}

func (p *pair) seal(t *rapid.T) {
	p.each(t, "Seal", func(s subject, id string) (any, error) { return nil, s.Seal(p.t.Context(), id) })
}

func (p *pair) cancel(t *rapid.T) {
	p.each(t, "Cancel", func(s subject, id string) (any, error) { return s.Cancel(p.t.Context(), id) })
}

// end ends one item that waits, in both.
func (p *pair) end(t *rapid.T) {
	index := rapid.IntRange(0, 4).Draw(t, "index")
	how := rapid.SampledFrom([]string{"succeed", "fail", "hold"}).Draw(t, "how")
	p.each(t, how, func(s subject, id string) (any, error) {
		status, err := s.Status(p.t.Context(), id)
		if err != nil || index >= len(status.Items) || status.Items[index].Status != "queued" {
			return nil, err
		}
		switch how {
		case "succeed":
			s.succeed(id, index, p.extended(id, index))
		case "fail":
			s.fail(id, index)
		case "hold":
			s.hold(id, index)
		}
		return nil, nil
	})
}

// extended asks the recorder, which remembers what was submitted.
func (p *pair) extended(id string, index int) bool {
	number := max(slices.Index(p.ids[0], id), slices.Index(p.ids[1], id))
	asked := p.both[1].(recorder).Session(p.ids[1][number])
	item := asked.Items[index]
	return (asked.Extend != nil || item.Extend != nil) && !item.UploadOnly
}

// look compares every session after every step.
func (p *pair) look(*rapid.T) {
	for number := range p.ids[0] {
		var answers [2]any
		var errs [2]error
		for n, subject := range p.both {
			status, err := subject.Status(p.t.Context(), p.ids[n][number])
			for i := range status.Items {
				status.Items[i].OperationIDs = nil // a provider's, which the recorder has none of
			}
			answers[n], errs[n] = status, err
		}
		p.same("Status", answers, errs)
	}
}
