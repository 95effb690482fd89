package kie

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
)

// margin is the life that a staged file must still have when a task is ordered:
// the provider fetches it a moment later.
const margin = 5 * time.Minute

// extendRequest is POST /api/v1/generate/upload-extend. The first six are
// required by the contract, whatever the mode.
type extendRequest struct {
	UploadURL        string   `json:"uploadUrl"`
	DefaultParamFlag bool     `json:"defaultParamFlag"`
	Instrumental     bool     `json:"instrumental"`
	ContinueAt       float64  `json:"continueAt"`
	Model            string   `json:"model"`
	CallBackURL      string   `json:"callBackUrl"`
	Prompt           string   `json:"prompt,omitempty"`
	Style            string   `json:"style,omitempty"`
	Title            string   `json:"title,omitempty"`
	NegativeTags     string   `json:"negativeTags,omitempty"`
	VocalGender      string   `json:"vocalGender,omitempty"`
	StyleWeight      *float64 `json:"styleWeight,omitempty"`
	Weirdness        *float64 `json:"weirdnessConstraint,omitempty"`
	AudioWeight      *float64 `json:"audioWeight,omitempty"`
	PersonaID        string   `json:"personaId,omitempty"`
}

// jobRequest is POST /api/v1/jobs/createTask. It has no defaultParamFlag: what is
// left out is inherited.
type jobRequest struct {
	Model       string   `json:"model"`
	CallBackURL string   `json:"callBackUrl,omitempty"`
	Input       jobInput `json:"input"`
}

type jobInput struct {
	UploadURL    string   `json:"upload_url"`
	Model        string   `json:"model"`
	Instrumental bool     `json:"instrumental"`
	ContinueAt   float64  `json:"continue_at"`
	Prompt       string   `json:"prompt,omitempty"`
	Lyrics       string   `json:"lyrics,omitempty"`
	Style        string   `json:"style,omitempty"`
	Title        string   `json:"title,omitempty"`
	NegativeTags string   `json:"negative_tags,omitempty"`
	VocalGender  string   `json:"vocal_gender,omitempty"`
	StyleWeight  *float64 `json:"style_weight,omitempty"`
	Weirdness    *float64 `json:"weirdness_constraint,omitempty"`
	AudioWeight  *float64 `json:"audio_weight,omitempty"`
	PersonaID    string   `json:"persona_id,omitempty"`
}

// jobModel names this operation on the jobs route.
const jobModel = "ai-music-api/upload-and-extend-audio"

// note is an extend's checkpoint: the route its task lies on, which the setting may
// have left by the time it is asked about.
type note struct {
	Route string `json:"route"`
}

// Extend orders one continuation.
func (d *driver) Extend(ctx context.Context, r *provider.Extend) (*provider.Accepted, error) {
	op := d.op("Extend")
	switch {
	case !fetchable(r.Clip.URL):
		return nil, fault.Uncharged(fault.Invalid, op, errors.New("there is no staged audio to continue"))
	case !r.Clip.Expires.IsZero() && time.Until(r.Clip.Expires) < margin:
		return nil, fault.Uncharged(fault.NotFound, op, errors.New("the staged audio has expired"))
	}
	path, request := "api/v1/generate/upload-extend", any(d.extension(r))
	if d.route == jobs {
		path, request = "api/v1/jobs/createTask", any(d.job(r))
	}
	var out struct {
		Data struct {
			Camel rest.Text `json:"taskId"`
			Snake rest.Text `json:"task_id"`
		} `json:"data"`
	}
	if err := d.api.JSON(ctx, op, http.MethodPost, path, request, &out); err != nil {
		return nil, err
	}
	id := cmp.Or(out.Data.Camel, out.Data.Snake)
	if id == "" {
		return nil, fault.New(fault.Malformed, op, errors.New("the answer has no taskId"))
	}
	checkpoint, err := json.Marshal(note{d.route})
	if err != nil {
		return nil, fault.New(fault.Internal, op, err)
	}
	return &provider.Accepted{OperationID: string(id), Checkpoint: checkpoint}, nil
}

// extension writes the request of the legacy route. An instrumental with
// parameters of its own gets no prompt and no voice, even where they are given:
// the contract wants a prompt in one place and not in another, and KIE's newer
// pages forbid both there.
func (d *driver) extension(r *provider.Extend) extendRequest {
	p := r.Params
	request := extendRequest{
		UploadURL: r.Clip.URL, DefaultParamFlag: custom(p), Instrumental: p.Instrumental, ContinueAt: p.ContinueAt,
		Model: cmp.Or(p.Model, defaultModel), CallBackURL: cmp.Or(r.CallbackURL, d.placeholder),
		Prompt: p.Prompt, Style: p.Style, Title: p.Title, NegativeTags: p.NegativeTags, VocalGender: p.VocalGender,
		StyleWeight: hundredths(p.StyleWeight), Weirdness: hundredths(p.WeirdnessConstraint), AudioWeight: hundredths(p.AudioWeight),
		PersonaID: p.PersonaID,
	}
	if custom(p) && p.Instrumental {
		request.Prompt, request.VocalGender = "", ""
	}
	return request
}

// job writes the same for the jobs route, which does not demand a callback.
func (d *driver) job(r *provider.Extend) jobRequest {
	e := d.extension(r)
	input := jobInput{
		UploadURL: e.UploadURL, Model: e.Model, Instrumental: e.Instrumental, ContinueAt: e.ContinueAt,
		Prompt: e.Prompt, Style: e.Style, Title: e.Title, NegativeTags: e.NegativeTags, VocalGender: e.VocalGender,
		StyleWeight: e.StyleWeight, Weirdness: e.Weirdness, AudioWeight: e.AudioWeight, PersonaID: e.PersonaID,
	}
	if singing(r.Params) && d.lyrics == "lyrics" {
		input.Prompt, input.Lyrics = "", e.Prompt
	}
	return jobRequest{Model: jobModel, CallBackURL: r.CallbackURL, Input: input}
}

// hundredths gives a weight the two decimals of the contract: what a computation
// leaves of 0.57 may have seventeen.
func hundredths(w *float64) *float64 {
	if w == nil {
		return nil
	}
	rounded := math.Round(*w*100) / 100
	return &rounded
}
