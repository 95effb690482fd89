// Package chime is the driver for Chime, a provider that exists in
// CONTRIBUTING.md alone: the least that a driver is.
//
// Sources: Chime's page "API", made up for this.
package chime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
)

const (
	baseURL      = "https://api.chime.invalid"
	defaultModel = "chime-1"
)

// Info gives the documented facts.
func Info() provider.Info {
	return provider.Info{
		Name: "chime", BaseURL: baseURL,
		Uploads:   provider.Uploads{By: provider.ByURL, Paid: true, Clips: true, Formats: []string{"mp3", "wav"}},
		Models:    []provider.Model{{Name: defaultModel, MaxPrompt: 400}},
		Prices:    provider.Prices{Upload: 1, Extend: 5},
		Poll:      provider.Polling{Min: time.Second, Max: 10 * time.Second},
		Retention: 24 * time.Hour,
	}
}

type driver struct{ api *rest.Client }

// Open makes a driver for one account. A missing key, a host that is no URL, and
// any option are fault.Invalid.
func Open(c provider.Config) (provider.Driver, error) {
	if len(c.Options) > 0 {
		return nil, fault.Uncharged(fault.Invalid, "chime.Open", errors.New("there are no options"))
	}
	api, err := rest.New(rest.Options{
		Op: "chime.Open", Base: cmp.Or(c.BaseURL, baseURL), Auth: rest.Bearer(c.APIKey), HTTP: c.HTTP, Table: rest.Statuses(),
	})
	if err != nil {
		return nil, err
	}
	return &driver{api}, nil
}

// Upload names the audio's address, from which Chime fetches it.
func (d *driver) Upload(ctx context.Context, r *provider.Upload) (*provider.Accepted, error) {
	return d.submit(ctx, "chime.Upload", "uploads", map[string]any{"url": r.Audio.URL})
}

// Extend continues a clip. Zero values are left to Chime.
func (d *driver) Extend(ctx context.Context, r *provider.Extend) (*provider.Accepted, error) {
	p := r.Params
	return d.submit(ctx, "chime.Extend", "extensions", map[string]any{
		"clip": r.Clip.ID, "at": p.ContinueAt, "model": cmp.Or(p.Model, defaultModel), "prompt": p.Prompt,
	})
}

func (d *driver) submit(ctx context.Context, op, path string, request any) (*provider.Accepted, error) {
	var out struct {
		ID rest.Text `json:"id"`
	}
	if err := d.api.JSON(ctx, op, http.MethodPost, path, request, &out); err != nil {
		return nil, err
	}
	if out.ID == "" {
		return nil, fault.New(fault.Malformed, op, errors.New("the answer has no id"))
	}
	return &provider.Accepted{OperationID: string(out.ID)}, nil
}

// operation is GET /operations/ID.
type operation struct {
	ID     rest.Text `json:"id"`
	State  string    `json:"state"`
	Reason rest.Text `json:"reason"`
	Clip   rest.Text `json:"clip"`
	Tracks []struct {
		ID  rest.Text `json:"id"`
		URL rest.Text `json:"url"`
	} `json:"tracks"`
}

// Poll asks once.
func (d *driver) Poll(ctx context.Context, o *provider.Operation) (*provider.State, error) {
	const op = "chime.Poll"
	var out operation
	if err := d.api.JSON(ctx, op, http.MethodGet, "operations/"+url.PathEscape(o.ID), nil, &out); err != nil {
		return nil, err
	}
	if string(out.ID) != o.ID {
		return nil, malformed("the answer is about another operation")
	}
	switch out.State {
	case "working":
		return &provider.State{Word: out.State}, nil
	case "failed":
		// An accepted operation was billed, and no page speaks of a refund.
		why := &fault.Error{Code: fault.Rejected, Op: op, Charge: fault.ChargeMade, Err: errors.New("failed: " + d.api.Clean(string(out.Reason)))}
		return &provider.State{Done: true, Word: out.State, Failure: why}, nil
	case "done":
		return succeeded(o.Step, &out)
	}
	return nil, malformed(fmt.Sprintf("state %q", d.api.Clean(out.State)))
}

func malformed(text string) error {
	return fault.Uncharged(fault.Malformed, "chime.Poll", errors.New(text))
}

func succeeded(step string, out *operation) (*provider.State, error) {
	done := &provider.State{Done: true, Word: out.State}
	if step == "upload" {
		if out.Clip == "" {
			return nil, malformed("an upload that is done without a clip")
		}
		done.Clip = &provider.Clip{ID: string(out.Clip)}
		return done, nil
	}
	for _, t := range out.Tracks {
		if t.ID == "" || t.URL == "" {
			return nil, malformed("a track without id or url")
		}
		done.Tracks = append(done.Tracks, provider.Track{AudioID: string(t.ID), AudioURL: string(t.URL)})
	}
	if len(done.Tracks) == 0 {
		return nil, malformed("an extension that is done without tracks")
	}
	return done, nil
}

// Credits asks for the balance.
func (d *driver) Credits(ctx context.Context) (float64, error) {
	var out struct {
		Credits *float64 `json:"credits"`
	}
	if err := d.api.JSON(ctx, "chime.Credits", http.MethodGet, "balance", nil, &out); err != nil {
		return 0, err
	}
	if out.Credits == nil {
		return 0, fault.Uncharged(fault.Malformed, "chime.Credits", errors.New("the answer has no credits"))
	}
	return *out.Credits, nil
}
