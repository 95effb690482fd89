package enqueuetest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/segue-audio/segue/enqueue"
)

// detailed is a submission in which most fields say something.
func detailed() enqueue.Session {
	return enqueue.Session{
		Provider: "kie", Key: "order-1", Name: "evening", Archive: "/archive", OnUnknown: "hold",
		Items: []enqueue.Item{
			{Source: "songs/a.mp3", Name: "a", Key: "a", Known: enqueue.Audio{Format: "mp3", Size: 1, SHA256: "ab", Duration: time.Second, ModTime: time.Unix(1, 0)}},
			{Source: "https://example.com/b.mp3", Extend: &enqueue.Extend{ContinueAt: 60, Prompt: "la", AudioWeight: new(0.5)}},
		},
	}
}

// TestWhatIsTheSameRequest: under one key, other words for the same request are
// accepted, and another request is refused.
func TestWhatIsTheSameRequest(t *testing.T) {
	tests := []struct {
		name   string
		change func(*enqueue.Session)
		same   bool
	}{
		{"the default account by its name", func(s *enqueue.Session) { s.Account = "main" }, true},
		{"left open", func(s *enqueue.Session) { s.Open = true }, true},
		{"a file that was touched", func(s *enqueue.Session) { s.Items[0].Known.ModTime = time.Unix(2, 0) }, true},
		{"another path to the file", func(s *enqueue.Session) { s.Items[0].Source = "./songs/../songs/a.mp3" }, true},
		{"the source as its own name", func(s *enqueue.Session) { s.Items[1].Name = "https://example.com/b.mp3" }, true},
		{"upload only where nothing is extended", func(s *enqueue.Session) { s.Items[0].UploadOnly = true }, true},
		{"upload only where something is", func(s *enqueue.Session) { s.Items[1].UploadOnly = true }, false},
		{"all extended", func(s *enqueue.Session) { s.Extend = &enqueue.Extend{ContinueAt: 1} }, false},
		{"another account", func(s *enqueue.Session) { s.Account = "second" }, false},
		{"another provider", func(s *enqueue.Session) { s.Provider = "sim" }, false},
		{"another name", func(s *enqueue.Session) { s.Name = "" }, false},
		{"another archive", func(s *enqueue.Session) { s.Archive = "" }, false},
		{"another policy", func(s *enqueue.Session) { s.OnUnknown = "resubmit" }, false},
		{"another file", func(s *enqueue.Session) { s.Items[0].Source = "songs/c.mp3" }, false},
		{"another name of a file", func(s *enqueue.Session) { s.Items[0].Name = "c" }, false},
		{"another key of a file", func(s *enqueue.Session) { s.Items[0].Key = "" }, false},
		{"another content of a file", func(s *enqueue.Session) { s.Items[0].Known.SHA256 = "ac" }, false},
		{"another prompt", func(s *enqueue.Session) { s.Items[1].Extend.Prompt = "lo" }, false},
		{"another weight", func(s *enqueue.Session) { s.Items[1].Extend.AudioWeight = new(0.6) }, false},
		{"no weight", func(s *enqueue.Session) { s.Items[1].Extend.AudioWeight = nil }, false},
		{"another order", func(s *enqueue.Session) { s.Items[0], s.Items[1] = s.Items[1], s.Items[0] }, false},
		{"one item more", func(s *enqueue.Session) { s.Items = append(s.Items, enqueue.Item{Source: "d"}) }, false},
		{"no items", func(s *enqueue.Session) { s.Items = nil }, false},
	}
	for kind, subject := range subjects {
		p := subject(t)
		first := must(p.Submit(t.Context(), detailed()))(t)
		for _, test := range tests {
			t.Run(kind+"/"+test.name, func(t *testing.T) {
				s := detailed()
				test.change(&s)
				submitted, err := p.Submit(t.Context(), s)
				switch {
				case test.same && (err != nil || submitted.SessionID != first.SessionID):
					t.Errorf("Submit = %+v, %v; want session %s", submitted, err, first.SessionID)
				case !test.same && !errors.Is(err, enqueue.ErrConflict):
					t.Errorf("Submit = %+v, %v; want ErrConflict", submitted, err)
				}
			})
		}
	}
}
