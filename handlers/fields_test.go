package handlers_test

import (
	"testing"

	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

// TestModelOfALayout: who names no model is told which one it was.
func TestModelOfALayout(t *testing.T) {
	info := provider.Info{Models: []provider.Model{{Name: "V5"}, {Name: "V4_5"}}}
	for named, want := range map[string]string{"": "V5", "V4_5": "V4_5", "gone": "gone"} {
		of := &session.Session{Spec: session.Spec{Params: &provider.Params{Model: named, ContinueAt: 3}}}
		if got := handlers.FieldsOf(info, of, &session.Item{}, 0, session.Track{}).Model; got != want {
			t.Errorf("of a session that names %q the model is %q, want %q", named, got, want)
		}
	}
	if got := handlers.FieldsOf(provider.Info{}, &session.Session{}, &session.Item{}, 0, session.Track{}).Model; got != "" {
		t.Errorf("of a provider without models the model is %q, want none", got)
	}
}
