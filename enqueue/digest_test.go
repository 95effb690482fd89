package enqueue_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/redistest"
)

// order is a submission in which every field says something.
func order() enqueue.Session {
	return enqueue.Session{
		Provider: "kie", Account: "second", Name: "evening", Key: "order-1", OnUnknown: "hold", Archive: "/archive",
		Extend: &enqueue.Extend{ContinueAt: 60},
		Items: []enqueue.Item{{
			Source: "/songs/a.mp3", Name: "a", Key: "first",
			Extend: &enqueue.Extend{
				Model: "V5", ContinueAt: -5, Prompt: "la", Style: "folk", Title: "A", NegativeTags: "drums", VocalGender: "f",
				StyleWeight: new(0.1), WeirdnessConstraint: new(0.2), AudioWeight: new(0.3), PersonaID: "p",
			},
			Known: enqueue.Audio{Format: "mp3", Size: 100, ModTime: time.Unix(1_700_000_000, 0), SHA256: "ab", Duration: time.Minute},
		}},
	}
}

// changes are requests that differ from order in one field, named by it.
var changes = map[string]func(*enqueue.Session){
	"Session.Provider":           func(s *enqueue.Session) { s.Provider = "sim" },
	"Session.Account":            func(s *enqueue.Session) { s.Account = "other" },
	"Session.Name":               func(s *enqueue.Session) { s.Name = "" },
	"Session.Items":              func(s *enqueue.Session) { s.Items = append(s.Items, enqueue.Item{Source: "b"}) },
	"Session.Extend":             func(s *enqueue.Session) { s.Extend = nil },
	"Session.OnUnknown":          func(s *enqueue.Session) { s.OnUnknown = "resubmit" },
	"Session.Anew":               func(s *enqueue.Session) { s.Anew = true },
	"Session.Archive":            func(s *enqueue.Session) { s.Archive = "" },
	"Item.Source":                func(s *enqueue.Session) { s.Items[0].Source = "https://example.com/a.mp3" },
	"Item.Name":                  func(s *enqueue.Session) { s.Items[0].Name = "" },
	"Item.Key":                   func(s *enqueue.Session) { s.Items[0].Key = "" },
	"Item.Extend":                func(s *enqueue.Session) { s.Items[0].Extend = nil },
	"Item.UploadOnly":            func(s *enqueue.Session) { s.Items[0].UploadOnly = true },
	"Item.Known":                 func(s *enqueue.Session) { s.Items[0].Known = enqueue.Audio{} },
	"Audio.Format":               func(s *enqueue.Session) { s.Items[0].Known.Format = "wav" },
	"Audio.Size":                 func(s *enqueue.Session) { s.Items[0].Known.Size++ },
	"Audio.SHA256":               func(s *enqueue.Session) { s.Items[0].Known.SHA256 = "ac" },
	"Audio.Duration":             func(s *enqueue.Session) { s.Items[0].Known.Duration++ },
	"Extend.Model":               func(s *enqueue.Session) { s.Items[0].Extend.Model = "" },
	"Extend.ContinueAt":          func(s *enqueue.Session) { s.Items[0].Extend.ContinueAt = 5 },
	"Extend.Instrumental":        func(s *enqueue.Session) { s.Items[0].Extend.Instrumental = true },
	"Extend.Prompt":              func(s *enqueue.Session) { s.Items[0].Extend.Prompt = "lo" },
	"Extend.Style":               func(s *enqueue.Session) { s.Items[0].Extend.Style = "" },
	"Extend.Title":               func(s *enqueue.Session) { s.Items[0].Extend.Title = "" },
	"Extend.NegativeTags":        func(s *enqueue.Session) { s.Items[0].Extend.NegativeTags = "" },
	"Audio.ETag":                 func(s *enqueue.Session) { s.Items[0].Known.ETag = "e" },
	"Extend.VocalGender":         func(s *enqueue.Session) { s.Items[0].Extend.VocalGender = "m" },
	"Extend.StyleWeight":         func(s *enqueue.Session) { s.Items[0].Extend.StyleWeight = nil },
	"Extend.WeirdnessConstraint": func(s *enqueue.Session) { s.Items[0].Extend.WeirdnessConstraint = new(0.0) },
	"Extend.AudioWeight":         func(s *enqueue.Session) { s.Items[0].Extend.AudioWeight = new(1.0) },
	"Extend.PersonaID":           func(s *enqueue.Session) { s.Items[0].Extend.PersonaID = "" },
}

// sames are requests that differ from order only in what does not make a
// different request.
var sames = map[string]func(*enqueue.Session){
	"Session.Key":      func(*enqueue.Session) {}, // another key is another session
	"Session.Open":     func(s *enqueue.Session) { s.Open = true },
	"Session.Budget":   func(s *enqueue.Session) { s.Budget = new(12.0) }, // it may be raised by submitting again
	"Session.Limits":   func(s *enqueue.Session) { s.Limits = []enqueue.Limit{{Scope: "schedule", Key: "nightly"}} },
	"Session.Priority": func(s *enqueue.Session) { s.Priority = "high" },
	"Audio.ModTime":    func(s *enqueue.Session) { s.Items[0].Known.ModTime = time.Unix(1_800_000_000, 0) },
}

func TestOneKeyStandsForOneRequest(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	client := enqueue.NewFromRedis(rdb)
	first := submit(t, client, order())
	for name, change := range sames {
		t.Run(name, func(t *testing.T) {
			same := order()
			change(&same)
			again, err := client.Submit(t.Context(), same)
			if err != nil || again.SessionID != first.SessionID || !again.Existed {
				t.Errorf("Submit with the same contents = %+v, %v; want session %s", again, err, first.SessionID)
			}
		})
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			other := order()
			change(&other)
			if _, err := client.Submit(t.Context(), other); !errors.Is(err, enqueue.ErrConflict) {
				t.Errorf("Submit with other contents = %v; want ErrConflict", err)
			}
		})
	}
	if got := stored(t, rdb, first.SessionID).Total; got != 1 {
		t.Errorf("the session has %d items after its key was refused, want 1", got)
	}
}

// TestEveryFieldIsDecidedAbout fails for a new field of a request until somebody
// has said whether it makes a different request.
func TestEveryFieldIsDecidedAbout(t *testing.T) {
	for _, of := range []any{enqueue.Session{}, enqueue.Item{}, enqueue.Audio{}, enqueue.Extend{}} {
		kind := reflect.TypeOf(of)
		for field := range kind.Fields() {
			name := kind.Name() + "." + field.Name
			if (changes[name] == nil) == (sames[name] == nil) {
				t.Errorf("%s is in both tables or in none; want it in one", name)
			}
		}
	}
}
