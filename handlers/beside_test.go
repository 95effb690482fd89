package handlers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

// sidecar is what users read of one.
type sidecar struct {
	Version      int            `json:"version"`
	SessionID    string         `json:"sessionId"`
	ItemID       string         `json:"itemId"`
	Provider     string         `json:"provider"`
	Account      string         `json:"account"`
	Model        string         `json:"model"`
	Parameters   map[string]any `json:"parameters"`
	ClipID       string         `json:"clipId"`
	OperationIDs []string       `json:"operationIds"`
	Credits      float64        `json:"credits"`
	Source       struct {
		Name   string `json:"name"`
		SHA256 string `json:"sha256"`
		File   string `json:"file"`
	} `json:"source"`
	Tracks []struct {
		AudioID string `json:"audioId"`
		File    string `json:"file"`
		Cover   string `json:"cover"`
		SHA256  string `json:"sha256"`
	} `json:"tracks"`
	FinishedAt string `json:"finishedAt"`
	ArchivedAt string `json:"archivedAt"`
}

// succeed carries a session on and wants all of it to succeed.
func (r *rig) succeed(id string) {
	r.t.Helper()
	if current := r.carryOn(id); current.Status() != session.StatusSucceeded {
		r.t.Fatalf("status %s, want succeeded: %+v", current.Status(), r.item(id, 0).Failure)
	}
}

// names are those of what the shelf holds, without the session's id.
func (s *shelf) names(id string) []string {
	all := slices.Concat(slices.Collect(maps.Keys(s.kept)), slices.Collect(maps.Keys(s.files)))
	for n := range all {
		all[n] = strings.ReplaceAll(all[n], id, "SESSION")
	}
	slices.Sort(all)
	return all
}

// TestSidecar: every item has one beside its tracks, with what is known of it, under the
// names that tracks always had.
func TestSidecar(t *testing.T) {
	r := newRig(t)
	id := r.submit(1, session.Spec{Name: "tapes"})
	r.succeed(id)
	want := []string{"SESSION/000-a-1", "SESSION/000-a-2", "SESSION/000-a.json", "SESSION/session.json"}
	if diff := cmp.Diff(want, r.shelf.names(id)); diff != "" {
		t.Errorf("archived (-want +got):\n%s", diff)
	}
	var got sidecar
	if err := json.Unmarshal([]byte(r.shelf.files[id+"/000-a.json"]), &got); err != nil {
		t.Fatal(err)
	}
	if got.Version != 1 || got.SessionID != id || got.ItemID != id+".0" || got.Provider != "vendor" || got.Account != "main" || got.Model != "m1" {
		t.Errorf("the sidecar is about %+v, want item 0 of %s on vendor/main, model m1", got, id)
	}
	if got.Parameters["continueAt"] != 55.0 || got.ClipID != "clip-op-1" || got.Credits != 12 {
		t.Errorf("parameters %v, clip %q, %g credits; want continueAt 55, clip-op-1, 12", got.Parameters, got.ClipID, got.Credits)
	}
	if diff := cmp.Diff([]string{"op-1", "op-2"}, got.OperationIDs); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
	if len(got.Tracks) != 2 || got.Tracks[0].File != "000-a-1.mp3" || got.Tracks[1].AudioID != "op-2-b" || got.Tracks[1].SHA256 != "00" {
		t.Errorf("tracks %+v, want op-2-a in 000-a-1.mp3 and op-2-b", got.Tracks)
	}
	if got.Source.Name != "a.mp3" || got.Source.SHA256 != "ff" || got.Source.File != "" || got.FinishedAt == "" || got.ArchivedAt == "" {
		t.Errorf("source %+v, finished %q, archived %q; want a.mp3, no copy, and both times", got.Source, got.FinishedAt, got.ArchivedAt)
	}
	if strings.Contains(r.shelf.files[id+"/000-a.json"], "cdn.test") {
		t.Error("the sidecar holds a download URL")
	}
}

// failing is a shelf that refuses so many sidecars.
type failing struct {
	*shelf
	refuse int
}

func (f *failing) Put(ctx context.Context, name string, r io.Reader) error {
	if f.refuse > 0 && strings.HasSuffix(name, "000-a.json") {
		f.refuse--
		return fault.Uncharged(fault.Unavailable, "archive.Put", errors.New("disk full"))
	}
	return f.shelf.Put(ctx, name, r)
}

// TestSidecarIsNotForgotten: an item is not done before its sidecar is there.
func TestSidecarIsNotForgotten(t *testing.T) {
	r := newRig(t)
	broken := &failing{shelf: r.shelf, refuse: 2}
	r.h.Archive = func(string) (archive.Archive, error) { return broken, nil }
	id := r.submit(1, session.Spec{})
	r.succeed(id)
	if broken.refuse != 0 || r.shelf.files[id+"/000-a.json"] == "" {
		t.Errorf("%d refusals are left, sidecar %q; want none and a sidecar", broken.refuse, r.shelf.files[id+"/000-a.json"])
	}
}

// illustrated gives tracks covers.
type illustrated struct{ provider.Driver }

func (i illustrated) Poll(ctx context.Context, op *provider.Operation) (*provider.State, error) {
	state, err := i.Driver.Poll(ctx, op)
	if err == nil {
		for n := range state.Tracks {
			state.Tracks[n].ImageURL = "https://cdn.test/" + state.Tracks[n].AudioID + ".jpeg"
		}
	}
	return state, err
}

// TestCoversAndSources: both lie beside the tracks where the layout puts them. A cover
// that cannot be had is only reported.
func TestCoversAndSources(t *testing.T) {
	r := newRig(t)
	r.driver = illustrated{r.vendor}
	layout, err := archive.ParseLayout("{provider}/{title}/{audio_id}.{ext}")
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	r.h.Log = slog.New(slog.NewTextHandler(&said, nil))
	sum := "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // of abc
	r.h.Probe = func(_ context.Context, s session.Source) (session.Source, error) {
		s.Format, s.Duration, s.SHA256, s.Size = "mp3", 60, sum, 3
		return s, nil
	}
	r.h.Open = func(context.Context, session.Source) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("abc")), nil
	}
	r.h.Keeping = func() handlers.Keeping {
		return handlers.Keeping{Layout: layout, Covers: true, Sources: true, Cover: func(ctx context.Context, a archive.Archive, url, name string) (string, error) {
			if !strings.HasSuffix(url, "op-2-a.jpeg") {
				return "", fault.Uncharged(fault.NotFound, "archive.KeepCover", errors.New("gone"))
			}
			return name + ".jpg", a.Put(ctx, name+".jpg", strings.NewReader("image"))
		}}
	}
	id := r.submit(1, session.Spec{})
	r.succeed(id)
	want := []string{
		"vendor/session-SESSION.json", "vendor/untitled/op-2-a", "vendor/untitled/op-2-a-source.mp3", "vendor/untitled/op-2-a.jpg",
		"vendor/untitled/op-2-a.json", "vendor/untitled/op-2-b",
	}
	if diff := cmp.Diff(want, r.shelf.names(id)); diff != "" {
		t.Fatalf("archived (-want +got):\n%s", diff)
	}
	var got sidecar
	if err := json.Unmarshal([]byte(r.shelf.files["vendor/untitled/op-2-a.json"]), &got); err != nil {
		t.Fatal(err)
	}
	if got.Source.File != "op-2-a-source.mp3" || got.Tracks[0].Cover != "op-2-a.jpg" || got.Tracks[1].Cover != "" {
		t.Errorf("source %q, covers %q and %q; want op-2-a-source.mp3, op-2-a.jpg and none", got.Source.File, got.Tracks[0].Cover, got.Tracks[1].Cover)
	}
	if !strings.Contains(said.String(), "a cover was not kept") || strings.Contains(said.String(), "jpeg") {
		t.Errorf("the log says %q, want the cover that was not kept, without its URL", said.String())
	}
}

// TestLostSourceCostsNoResult: a source that changed or went away is reported, and the
// tracks are kept all the same.
func TestLostSourceCostsNoResult(t *testing.T) {
	r := newRig(t)
	r.h.Probe = func(_ context.Context, s session.Source) (session.Source, error) {
		s.Format, s.Duration, s.Size = "mp3", 60, 3
		s.SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
		return s, nil
	}
	r.h.Keeping = func() handlers.Keeping { return handlers.Keeping{Sources: true} }
	for name, open := range map[string]error{
		"gone":        fault.Uncharged(fault.Invalid, "segue.open", errors.New("changed")),
		"unreachable": fault.Uncharged(fault.Unavailable, "segue.open", errors.New("no route")),
	} {
		t.Run(name, func(t *testing.T) {
			r.t = t
			r.h.Open = func(context.Context, session.Source) (io.ReadCloser, error) { return nil, open }
			id := r.submit(1, session.Spec{})
			r.succeed(id)
			if _, kept := r.shelf.kept[id+"/000-a-2"]; !kept || !strings.Contains(r.shelf.files[id+"/000-a.json"], `"audioId"`) {
				t.Errorf("kept %v, sidecar %q; want both tracks and the sidecar", r.shelf.kept, r.shelf.files[id+"/000-a.json"])
			}
		})
	}
}
