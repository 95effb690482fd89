package drivertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// ended is an operation of a chain and how it ended.
type ended struct {
	op    *provider.Operation
	state *provider.State
}

// operations lists what the chain waited for.
func (r *result) operations() []ended {
	if r.upload == nil {
		return []ended{{r.extend, r.extended}}
	}
	return []ended{{r.upload, r.uploaded}, {r.extend, r.extended}}
}

func pollCall(h *Harness, e ended) call {
	return call{"Poll of " + e.op.Step, func(ctx context.Context) error {
		state, err := h.Driver.Poll(ctx, e.op)
		if (state == nil) == (err == nil) {
			return fmt.Errorf("%w: got %+v, and an error: %t", errBoth, state, err != nil)
		}
		return err
	}}
}

func checkPollCodes(tb testing.TB, open Open) {
	tb.Helper()
	h, w := start(tb, open)
	for _, e := range ready(tb, h).operations() {
		sweep(tb, h, w, []call{pollCall(h, e)}, func(o outcome) {
			o.checkCode(tb)
			if o.billed != 0 {
				tb.Errorf("%s: billed %d times, want 0", o.name(), o.billed)
			}
			after, err := h.Driver.Poll(tb.Context(), e.op)
			if err != nil || !same(after, e.state) {
				tb.Errorf("%s: the next question gets %+v, %v; want %+v", o.name(), after, err, e.state)
			}
		})
	}
}

func checkPollContext(tb testing.TB, open Open) {
	tb.Helper()
	h, w := start(tb, open)
	for _, e := range ready(tb, h).operations() {
		checkContext(tb, w, pollCall(h, e), fault.ChargeNone)
	}
}

// checkUnknownWord replaces the provider's word for success by one that no
// provider has.
func checkUnknownWord(tb testing.TB, open Open) {
	tb.Helper()
	h, w := start(tb, open)
	for _, e := range ready(tb, h).operations() {
		word, replaced := `"`+e.state.Word+`"`, false
		edit := func(body []byte) []byte {
			replaced = replaced || bytes.Contains(body, []byte(word))
			return bytes.ReplaceAll(body, []byte(word), []byte(`"wibble"`))
		}
		var (
			state *provider.State
			err   error
		)
		w.during(trouble{answer: rewrite(edit)}, func() { state, err = h.Driver.Poll(tb.Context(), e.op) })
		if !replaced {
			tb.Errorf("the answer to Poll of %s does not contain %s, want State.Word as the provider writes it", e.op.Step, word)
			continue
		}
		if fault.CodeOf(err) != fault.Malformed {
			tb.Errorf("Poll of %s answered with the word wibble: %+v, %v; want a malformed error", e.op.Step, state, err)
		}
	}
}

// checkMissingResults takes the results out of an answer that says success.
func checkMissingResults(tb testing.TB, open Open) {
	tb.Helper()
	h, w := start(tb, open)
	for _, e := range ready(tb, h).operations() {
		ids, addresses := results(e.state)
		for _, loss := range []struct {
			name string
			edit func(any) any
		}{
			{"empty ids", blank(ids)},
			{"no fields with ids", without(ids)},
			{"empty lists of results", emptied(ids)},
			{"no addresses", without(addresses)},
		} {
			if strings.HasSuffix(loss.name, "addresses") && e.op.Step == "upload" && e.state.Clip.ID != "" {
				continue // a clip that has an id need not have an address
			}
			var (
				state   *provider.State
				err     error
				changed bool
			)
			edit := func(body []byte) []byte {
				out := edited(tb, body, loss.edit)
				changed = changed || !bytes.Equal(out, edited(tb, body, func(v any) any { return v }))
				return out
			}
			w.during(trouble{answer: rewrite(edit)}, func() { state, err = h.Driver.Poll(tb.Context(), e.op) })
			if changed && fault.CodeOf(err) != fault.Malformed {
				tb.Errorf("Poll of %s answered with success and %s: %+v, %v; want a malformed error", e.op.Step, loss.name, state, err)
			}
		}
	}
}

// results lists the ids and the addresses that a state ended with.
func results(s *provider.State) (ids, addresses []string) {
	if s.Clip != nil {
		ids, addresses = append(ids, s.Clip.ID), append(addresses, s.Clip.URL)
	}
	for _, track := range s.Tracks {
		ids, addresses = append(ids, track.AudioID), append(addresses, track.AudioURL)
	}
	return ids, addresses
}

// edited applies edit to every value of a JSON text, the innermost first.
func edited(tb testing.TB, body []byte, edit func(any) any) []byte {
	tb.Helper()
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		tb.Errorf("the fake's answer is not JSON: %v", err)
		return body
	}
	out, err := json.Marshal(walk(value, edit))
	if err != nil {
		tb.Errorf("writing the edited answer: %v", err)
		return body
	}
	return out
}

func walk(value any, edit func(any) any) any {
	switch v := value.(type) {
	case []any:
		for n := range v {
			v[n] = walk(v[n], edit)
		}
	case map[string]any:
		for name := range v {
			v[name] = walk(v[name], edit)
		}
	}
	return edit(value)
}

func among(list []string, value any) bool {
	text, ok := value.(string)
	return ok && text != "" && slices.Contains(list, text)
}

// blank empties the listed strings.
func blank(list []string) func(any) any {
	return func(value any) any {
		if among(list, value) {
			return ""
		}
		return value
	}
}

// without removes the fields that hold a listed string.
func without(list []string) func(any) any {
	return func(value any) any {
		object, ok := value.(map[string]any)
		if !ok {
			return value
		}
		for name, field := range object {
			if among(list, field) {
				delete(object, name)
			}
		}
		return object
	}
}

// emptied empties the lists whose members hold a listed string.
func emptied(list []string) func(any) any {
	return func(value any) any {
		members, ok := value.([]any)
		if !ok {
			return value
		}
		for _, member := range members {
			object, ok := member.(map[string]any)
			if !ok {
				continue
			}
			for _, field := range object {
				if among(list, field) {
					return []any{}
				}
			}
		}
		return value
	}
}

// unknownID is an operation that no fake has.
const unknownID = "00000000-0000-4000-8000-00000000dead"

func checkUnknownOperation(tb testing.TB, open Open) {
	tb.Helper()
	h, _ := start(tb, open)
	for _, e := range ready(tb, h).operations() {
		unknown := *e.op
		unknown.ID = unknownID
		if state, err := h.Driver.Poll(tb.Context(), &unknown); fault.CodeOf(err) != fault.NotFound {
			tb.Errorf("Poll of %s for an operation that does not exist: %+v, %v; want a not_found error", e.op.Step, state, err)
		}
	}
}
