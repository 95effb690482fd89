package kkiai

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
)

const pollOp = "kkiai.Poll"

// Poll asks once about an upload (steps 4 and 5) or a task.
func (d *driver) Poll(ctx context.Context, o *provider.Operation) (*provider.State, error) {
	switch {
	case o.ID != "" && o.Step == "upload":
		return d.pollUpload(ctx, o.ID)
	case o.ID != "" && o.Step == "extend":
		return d.pollTask(ctx, o.ID)
	}
	return nil, fault.Uncharged(fault.Invalid, pollOp, fmt.Errorf("operation %q of step %q cannot be asked about", o.ID, o.Step))
}

func malformed(text string) error { return fault.Uncharged(fault.Malformed, pollOp, errors.New(text)) }

// status is step 4.
func (d *driver) status(ctx context.Context, op, id string) (*uploadStatus, error) {
	var out either[uploadStatus]
	if err := d.api.JSON(ctx, op, http.MethodGet, uploadPath(id, ""), nil, &out); err != nil {
		return nil, err
	}
	if said := string(out.value.ID); said != "" && said != id {
		return nil, fault.Uncharged(fault.Malformed, op, errors.New("the answer is about another upload"))
	}
	return &out.value, nil
}

// pollUpload takes both words for the end, the six steps' "completed" and
// everybody else's "complete".
func (d *driver) pollUpload(ctx context.Context, id string) (*provider.State, error) {
	s, err := d.status(ctx, pollOp, id)
	if err != nil {
		return nil, err
	}
	word := string(s.Status)
	switch word {
	case "processing", "passed_audio_processing", "passed_artist_moderation":
		return &provider.State{Word: word}, nil
	case "complete", "completed":
		return d.clip(ctx, id, word)
	case "error":
		why := errors.New("error: " + cmp.Or(d.api.Clean(string(s.ErrorMessage)), "no reason given"))
		return &provider.State{Done: true, Word: word, Failure: fault.Uncharged(fault.Rejected, pollOp, why)}, nil
	}
	return nil, malformed(fmt.Sprintf("upload status %q", d.api.Clean(word)))
}

// clip is step 5. It answers 400 while the upload is not processed, but also to
// what its guards take for a robot, and perhaps to being asked twice: from the
// outside these look alike, so 400 is not yet, until the operation's deadline.
func (d *driver) clip(ctx context.Context, id, word string) (*provider.State, error) {
	var out either[initialized]
	err := d.initialize.JSON(ctx, pollOp, http.MethodPost, uploadPath(id, "/initialize-clip"), struct{}{}, &out)
	switch clip := cmp.Or(out.value.ClipID, out.value.CamelID); {
	case fault.CodeOf(err) == fault.Pending:
		return &provider.State{Word: word + ", but initialize-clip answers 400"}, nil
	case err != nil:
		return nil, rest.Free(err)
	case clip == "":
		return nil, malformed("an initialized clip without clip_id")
	default:
		return &provider.State{Done: true, Word: word, Clip: &provider.Clip{ID: string(clip)}}, nil
	}
}

func (d *driver) pollTask(ctx context.Context, id string) (*provider.State, error) {
	t, err := d.fetch(ctx, id)
	if err != nil {
		return nil, err
	}
	if said := t.id(); said != "" && said != id {
		return nil, malformed("the answer is about another task")
	}
	return d.state(t)
}

// fetch asks for one task. kkiai's page shows only the id where its relatives
// show the task: then the list is asked, which shows tasks everywhere.
func (d *driver) fetch(ctx context.Context, id string) (*task, error) {
	var one struct {
		Data json.RawMessage `json:"data"`
	}
	if err := d.api.JSON(ctx, pollOp, http.MethodGet, "suno/fetch/"+url.PathEscape(id), nil, &one); err != nil {
		return nil, err
	}
	var bare string
	if json.Unmarshal(one.Data, &bare) != nil || bare != id {
		var t task
		if len(one.Data) == 0 || json.Unmarshal(one.Data, &t) != nil {
			return nil, malformed("the answer has no task")
		}
		return &t, nil
	}
	var many struct {
		Data []task `json:"data"`
	}
	if err := d.api.JSON(ctx, pollOp, http.MethodPost, "suno/fetch", fetchRequest{[]string{id}, "MUSIC"}, &many); err != nil {
		return nil, rest.Free(err)
	}
	for _, t := range many.Data {
		if t.id() == id {
			return &t, nil
		}
	}
	return &task{Status: "SUBMITTED"}, nil // the one place that knows it says no more
}

// state reads the upper-case words that the gateway software has.
func (d *driver) state(t *task) (*provider.State, error) {
	word := string(t.Status)
	switch word {
	case "NOT_START", "SUBMITTED", "QUEUED", "IN_PROGRESS", "UNKNOWN":
		return &provider.State{Word: word, Tracks: tracksSoFar(t.clips())}, nil
	case "SUCCESS":
		return d.succeeded(t)
	case "FAILURE":
		return &provider.State{Done: true, Word: word, Failure: d.failure(t)}, nil
	}
	return nil, malformed(fmt.Sprintf("task status %q", d.api.Clean(word)))
}

// succeeded leaves out the clips that ended badly, as long as one did not.
func (d *driver) succeeded(t *task) (*provider.State, error) {
	clips := t.clips()
	if len(clips) == 0 {
		return nil, malformed("a successful task without clips")
	}
	done := &provider.State{Done: true, Word: string(t.Status)}
	for n, c := range clips {
		switch {
		case c.Status == "error":
		case c.id() == "" || c.AudioURL == "":
			return nil, malformed(fmt.Sprintf("clip %d of a successful task without id or audio_url", n+1))
		default:
			done.Tracks = append(done.Tracks, c.track())
		}
	}
	if done.Tracks == nil {
		done.Failure = d.failure(t)
	}
	return done, nil
}

func tracksSoFar(clips []clip) []provider.Track {
	var tracks []provider.Track
	for _, c := range clips {
		if c.id() != "" && c.AudioURL != "" {
			tracks = append(tracks, c.track())
		}
	}
	return tracks
}

// failure says why a task ended badly. It was billed when it was accepted, and no
// page of kkiai's speaks of a refund; whoever has seen one says so in an option.
func (d *driver) failure(t *task) error {
	why := d.api.Clean(string(cmp.Or(t.FailReason, t.CamelReason)))
	for _, c := range t.clips() {
		why = cmp.Or(why, d.api.Clean(string(c.metadata().ErrorMessage)))
	}
	charge := fault.ChargeMade
	if d.refunds {
		charge = fault.ChargeNone
	}
	return &fault.Error{Code: fault.Rejected, Op: pollOp, Charge: charge, Err: errors.New("failed: " + cmp.Or(why, "no reason given"))}
}
