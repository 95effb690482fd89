package simulator_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/simulator"
)

// TestKkiaiCanBeGotThrough sends a client that is patient and nothing else
// through the faults of many seeds: whatever a seed chooses, there is a way, and
// it costs one charge.
func TestKkiaiCanBeGotThrough(t *testing.T) {
	for seed := int64(1); seed <= 25; seed++ {
		r := newRig(t, func(o *simulator.Options) {
			o.Seed, o.Faults = seed, simulator.Faults{}
			for kind, p := range simulator.Mild() {
				o.Faults[kind] = min(1, 8*p)
			}
			// Of these a client that does not reconcile can only lose.
			for _, kind := range []simulator.Kind{simulator.DropAfter, simulator.ErrorAfter, simulator.PageAfter, simulator.TruncateAfter} {
				delete(o.Faults, kind)
			}
			o.Faults[simulator.OperationTimeout] = 0
		})
		clip := r.patientClip(wav(30, "song"))
		task := ""
		for range 50 {
			got := r.do(http.MethodPost, kkiaiSubmits, "key", continuation(clip, nil))
			if task = textAt(decoded(got), "data"); got.status == 200 {
				break
			}
		}
		r.clock.advance(100 * time.Second)
		ended := ""
		for range 50 {
			if ended = textAt(decoded(r.do(http.MethodGet, kkiaiFetches+task, "key", nil)), "data", "status"); ended != "" {
				break
			}
		}
		if ended != "SUCCESS" && ended != "FAILURE" || len(r.sim.Charges()) != 1 {
			t.Errorf("seed %d: task %q ended as %q with %d charges, want an end and one charge", seed, task, ended, len(r.sim.Charges()))
		}
		if v := r.sim.Verdict(); v.BadRequests+v.LeakedKeys+v.ChunkedBodies+v.ForgedTickets != 0 || v.UnseenResults != 0 {
			t.Errorf("seed %d: %+v, want no broken rule", seed, v.Conduct)
		}
	}
}

// patientClip begins anew, free of charge, whenever a step does not go well.
func (r *rig) patientClip(file []byte) string {
	r.t.Helper()
	for range 50 {
		got := decoded(r.do(http.MethodPost, kkiaiUploads, "key", map[string]any{"extension": "wav"}))
		k := ticket{id: textAt(got, "upload_id"), url: textAt(got, "upload_url")}
		if fields, is := got["fields"].(map[string]any); is {
			k = ticket{id: textAt(got, "id"), url: textAt(got, "url"), fields: map[string]string{}}
			for name := range fields {
				k.fields[name] = textAt(fields, name)
			}
		}
		if k.id == "" || r.transfer(k, file).status/100 != 2 || r.finishUpload(k.id).status != 200 {
			continue
		}
		r.settle(10 * time.Second)
		for range 5 {
			if clip := textAt(decoded(r.initialize(k.id)), "clip_id"); clip != "" {
				return clip
			}
		}
	}
	r.t.Fatal("no clip after fifty attempts")
	return ""
}

// decoded gives an object, or nil for whatever else came.
func decoded(got reply) map[string]any {
	var out map[string]any
	if got.err != nil || got.status/100 != 2 || json.Unmarshal(got.body, &out) != nil {
		return nil
	}
	return out
}
