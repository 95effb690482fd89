package mountsea

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// Poll asks once.
func (d *driver) Poll(ctx context.Context, o *provider.Operation) (*provider.State, error) {
	const op = "mountsea.Poll"
	if o.ID == "" || o.Step != "upload" && o.Step != "extend" {
		return nil, fault.Uncharged(fault.Invalid, op, fmt.Errorf("operation %q of step %q cannot be asked about", o.ID, o.Step))
	}
	var out taskStatus
	if err := d.api.JSON(ctx, op, http.MethodGet, statusPath(o.ID), nil, &out); err != nil {
		return nil, err
	}
	// An answer about another task, from a confused cache, would hand one item's
	// paid result to another.
	if out.TaskID != "" && !strings.EqualFold(string(out.TaskID), o.ID) {
		return nil, malformed(errors.New("the answer is about another task"))
	}
	return d.state(o.Step, out)
}

func malformed(err error) error { return fault.Uncharged(fault.Malformed, "mountsea.Poll", err) }

// state reads the union of both lists of statuses that MountSea has published.
func (d *driver) state(step string, s taskStatus) (*provider.State, error) {
	switch s.Status {
	// "awaiting" waits for a second call that no task of ours has: it goes on
	// until our own deadline. "ready" means queued here.
	case "queued", "ready", "running", "stream", "awaiting":
		return &provider.State{Word: s.Status, Tracks: tracksSoFar(step, s.Data)}, nil
	case "success":
		return succeeded(step, s)
	case "failed", "timeout":
		return &provider.State{Done: true, Word: s.Status, Failure: d.failure(s)}, nil
	}
	return nil, malformed(fmt.Errorf("status %q", d.api.Clean(s.Status)))
}

func succeeded(step string, s taskStatus) (*provider.State, error) {
	done := &provider.State{Done: true, Word: s.Status}
	if step == "upload" {
		var uploaded clip
		if json.Unmarshal(s.Data, &uploaded) != nil || uploaded.ID == "" {
			return nil, malformed(errors.New("a successful upload without data.id"))
		}
		done.Clip = &provider.Clip{ID: string(uploaded.ID), URL: string(uploaded.AudioURL)}
		return done, nil
	}
	var clips []clip
	if json.Unmarshal(s.Data, &clips) != nil || len(clips) == 0 {
		return nil, malformed(errors.New("a successful generation without clips"))
	}
	for n, c := range clips {
		if c.ID == "" || c.AudioURL == "" {
			return nil, malformed(fmt.Errorf("clip %d of a successful generation without id or audio_url", n+1))
		}
		done.Tracks = append(done.Tracks, c.track())
	}
	return done, nil
}

// tracksSoFar reads what a running generation already offers; while it runs,
// nothing has to be there.
func tracksSoFar(step string, data json.RawMessage) []provider.Track {
	var clips []clip
	if step != "extend" || json.Unmarshal(data, &clips) != nil {
		return nil
	}
	var tracks []provider.Track
	for _, c := range clips {
		if c.ID != "" && c.AudioURL != "" {
			tracks = append(tracks, c.track())
		}
	}
	return tracks
}

// failure says why a task ended badly. It had been accepted, so it was billed; no
// page speaks of a refund, so none is assumed: counting too much as spent keeps
// every budget, and the comparison with the balance shows a refund if there is one.
// 4001, "Audio source not found.", is the one failCode that is documented. The
// reason is for people; only the codes decide.
func (d *driver) failure(s taskStatus) error {
	code := fault.Rejected
	switch {
	case s.Status == "timeout":
		code = fault.Timeout
	case s.FailCode == "4001":
		code = fault.NotFound
	}
	words := []string{s.Status}
	if s.FailCode != "" {
		words = append(words, "failCode "+d.api.Clean(string(s.FailCode)))
	}
	if s.FailReason != "" {
		words = append(words, d.api.Clean(string(s.FailReason)))
	}
	return &fault.Error{Code: code, Op: "mountsea.Poll", Charge: fault.ChargeMade, Err: errors.New(strings.Join(words, ": "))}
}
