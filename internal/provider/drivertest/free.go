package drivertest

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/segue-audio/segue/internal/fault"
)

// checkFreeUpload holds an upload that costs nothing to what a paid one is held
// to, except that its errors never speak of a charge, and then to what only a free
// one can promise: that it may be cut off anywhere and begun again.
func checkFreeUpload(tb testing.TB, open Open) {
	tb.Helper()
	h, w := start(tb, open)
	if h.Info.Uploads.Paid {
		return
	}
	ready(tb, h)
	// A provider that fetches from the URL it is told later gets nothing here.
	before := w.counts().trips
	if _, err := h.Driver.Upload(tb.Context(), h.Upload()); err == nil && w.counts().trips == before {
		return
	}
	sweep(tb, h, w, []call{uploadCall(h)}, func(o outcome) {
		o.checkCode(tb)
		o.checkSecrets(tb, h)
		o.checkFree(tb)
	})
	checkContext(tb, w, uploadCall(h), fault.ChargeNone)
	checkCutOff(tb, h, w)
}

func (o outcome) checkFree(tb testing.TB) {
	tb.Helper()
	if f := asFault(tb, o.name(), o.err); f != nil && f.Charge != fault.ChargeNone {
		tb.Errorf("%s: charge %q of a free upload, want %q: %v", o.name(), f.Charge, fault.ChargeNone, f)
	}
	if o.billed != 0 {
		tb.Errorf("%s: a free upload was billed %d times", o.name(), o.billed)
	}
}

// cutOffs are the troubles that an upload of several parts meets at each of them.
// Nothing in them lies: what was answered in the fake's name, the fake knows.
func cutOffs() []trouble {
	lost := codes(fault.Unavailable)
	return []trouble{
		{name: "connection refused", refused: true, codes: lost},
		{name: "closed before it was seen", answer: closeUnbilled, codes: lost},
		{name: "closed after it was seen", answer: closeBilled, codes: lost},
		{name: "reset after it was seen", answer: resetBilled, codes: lost},
		{name: "seen, then 500", answer: billedThen(500, echo), codes: lost},
		{name: "seen, then 503 in HTML", answer: billedThen(503, echoPage), codes: lost},
	}
}

// checkCutOff cuts an upload off at its first part, its second, and so on, and
// lets another attempt go on from what the first one saved.
func checkCutOff(tb testing.TB, h *Harness, w *Wire) {
	tb.Helper()
	const tooMany = 20 // parts: a driver that never gets through is not counted for ever
	for part := range tooMany {
		for _, tr := range cutOffs() {
			r := h.Upload()
			saved := r.Checkpoint
			r.Save = func(_ context.Context, checkpoint json.RawMessage) error {
				saved = checkpoint
				return nil
			}
			before, charges := w.counts().trips, h.Charges()
			o := outcome{call: fmt.Sprintf("request %d of Upload", part+1), trouble: tr}
			w.after(part, tr, func() { _, o.err = h.Driver.Upload(tb.Context(), r) })
			if w.counts().trips-before <= part && o.err == nil {
				return // it has no such part
			}
			o.billed = h.Charges() - charges
			o.checkCode(tb)
			o.checkSecrets(tb, h)
			o.checkFree(tb)
			checkResumed(tb, h, o.name(), saved)
		}
	}
	tb.Errorf("Upload makes more than %d requests", tooMany)
}

// checkResumed uploads what another attempt began.
func checkResumed(tb testing.TB, h *Harness, what string, saved json.RawMessage) {
	tb.Helper()
	for _, leak := range h.leaksIn(string(saved)) {
		tb.Errorf("%s: the checkpoint holds %s", what, leak)
	}
	charges := h.Charges()
	again := h.Upload()
	again.Checkpoint = saved
	again.Save = func(context.Context, json.RawMessage) error { return nil }
	out, err := h.chain(tb.Context(), again)
	if err != nil || out.extended.Failure != nil {
		tb.Errorf("%s: the next attempt, from the checkpoint %s, ends with %v; want tracks", what, saved, err)
		return
	}
	if got := h.Charges() - charges; got != 1 {
		tb.Errorf("%s: the next attempt was billed %d times, want 1", what, got)
	}
}
