//go:build unix

package e2e_test

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/simulator"
)

// TestLostAnswers spoils the answers of ten paid requests in every way there is.
// Nothing is sent again by itself: each song is held at its step, says that it is
// perhaps charged, and goes on from the operator's decision, still paid for once.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	s := onRedis(t, direct)
	kinds := []simulator.Kind{simulator.DropAfter, simulator.ErrorAfter, simulator.PageAfter, simulator.TruncateAfter, simulator.DropBefore}
	var next []simulator.Next
	for _, endpoint := range []string{"mountsea.item", "mountsea.generate"} {
		for _, kind := range kinds {
			next = append(next, simulator.Next{Endpoint: endpoint, Kind: kind, Count: 1})
		}
	}
	s.provider.Ask(http.MethodPost, "/_sim/faults", map[string]any{"next": next})
	songs := mixed(t, t.TempDir(), len(next))
	s.worker("worker")
	id := s.submit(songs)

	st, code := s.watch(id)
	if code != 8 || st.Status != "held" {
		t.Errorf("exit code %d, status %q; want 8 and held", code, st.Status)
	}
	steps := map[string]int{}
	for _, it := range st.Held() {
		steps[it.Step]++
		if it.Error == nil || it.Error.Charge != "unknown" {
			t.Errorf("%s is held with %+v; want a charge that is unknown", it.Source, it.Error)
		}
	}
	if diff := cmp.Diff(map[string]int{"upload": 5, "extend": 5}, steps); diff != "" {
		t.Errorf("held items by step (-want +got):\n%s", diff)
	}
	// Four of five kinds charge; a fifth never reached the provider's books.
	if got := len(s.provider.Charges()); got != 4+5+4 {
		t.Errorf("%d charges while songs are held, want 4 uploads in doubt, 5 that were answered, and 4 extensions in doubt", got)
	}
	s.resolve(st.Held())
	if st, code = s.watch(id); code != 0 {
		t.Errorf("exit code %d in the end, want 0", code)
	}
	if got := s.provider.Verdict().AnswersLost; got != 8 {
		t.Errorf("%d charged requests went without an answer, want 8", got)
	}
	fulfilled(t, s.provider, songs, st)
	archived(t, s.provider, filepath.Join(s.dir, "archive"), st)
	s.settledOnce(id)
}
