package handlers_test

import (
	"slices"
	"testing"

	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/session"
)

// layoutOf reads a layout.
func layoutOf(t *testing.T, text string) archive.Layout {
	t.Helper()
	layout, err := archive.ParseLayout(text)
	if err != nil {
		t.Fatal(err)
	}
	return layout
}

// TestWhereASessionIsWrittenDown: beside its results, never over another session's.
func TestWhereASessionIsWrittenDown(t *testing.T) {
	for layout, want := range map[string]string{
		"{name}/{session}/{index}-{n}.{ext}": "tapes/SESSION/session.json",
		"{name}/{audio_id}.{ext}":            "tapes/session-SESSION.json",
		"{audio_id}.{ext}":                   "SESSION/session.json",
	} {
		r := newRig(t)
		how := handlers.Keeping{Layout: layoutOf(t, layout)}
		r.h.Keeping = func() handlers.Keeping { return how }
		id := r.submit(1, session.Spec{Name: "tapes"})
		r.succeed(id)
		if got := r.shelf.names(id); !slices.Contains(got, want) {
			t.Errorf("%s: archived %v, want %s among them", layout, got, want)
		}
	}
}

// TestALayoutThatChanged: results that lie elsewhere than the layout says by now are
// not told of in a folder where they are not.
func TestALayoutThatChanged(t *testing.T) {
	r := newRig(t)
	before, after := handlers.Keeping{}, handlers.Keeping{Layout: layoutOf(t, "{name}/{session}/{index}-{n}.{ext}")}
	r.h.Keeping = func() handlers.Keeping {
		if len(r.shelf.kept) < 2 { // both tracks are filed before the session settles
			return before
		}
		return after
	}
	id := r.submit(1, session.Spec{Name: "tapes"})
	r.succeed(id)
	got := r.shelf.names(id)
	if !slices.Contains(got, "SESSION/session.json") || slices.Contains(got, "tapes/SESSION/session.json") {
		t.Errorf("archived %v, want SESSION/session.json beside the results", got)
	}
}
