package mountsea

import (
	"cmp"
	"encoding/json"

	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
)

type uploadRequest struct {
	SessionID string `json:"sessionId,omitempty"`
	AudioURL  string `json:"audioUrl"`
}

// generateRequest is POST /suno/v2/generate: task and model are required, the
// rest belongs to the task. make_instrumental is sent only when it is wanted: the
// page lists it, but one client reports that it is refused.
type generateRequest struct {
	Task             string    `json:"task"`
	Model            string    `json:"model"`
	ClipID           string    `json:"clip_id,omitempty"`
	AudioURL         string    `json:"audio_url,omitempty"`
	ContinueAt       float64   `json:"continue_at,omitzero"`
	Prompt           string    `json:"prompt,omitempty"`
	Tags             string    `json:"tags,omitempty"`
	Title            string    `json:"title,omitempty"`
	NegativeTags     string    `json:"negative_tags,omitempty"`
	MakeInstrumental bool      `json:"make_instrumental,omitempty"`
	VocalGender      string    `json:"vocal_gender,omitempty"`
	Controls         *controls `json:"controls,omitempty"`
	Persona          *persona  `json:"persona,omitempty"`
}

// controls holds the weights, each from 0 to 1.
type controls struct {
	Style     *float64 `json:"style_weight,omitempty"`
	Audio     *float64 `json:"audio_weight,omitempty"`
	Weirdness *float64 `json:"weirdness_constraint,omitempty"`
}

type persona struct {
	ID string `json:"persona_id"`
}

func generation(p provider.Params) generateRequest {
	request := generateRequest{
		Model: cmp.Or(p.Model, defaultModel), ContinueAt: p.ContinueAt,
		Prompt: p.Prompt, Tags: p.Style, Title: p.Title, NegativeTags: p.NegativeTags,
		MakeInstrumental: p.Instrumental, VocalGender: p.VocalGender,
	}
	if p.StyleWeight != nil || p.AudioWeight != nil || p.WeirdnessConstraint != nil {
		request.Controls = &controls{Style: p.StyleWeight, Audio: p.AudioWeight, Weirdness: p.WeirdnessConstraint}
	}
	if p.PersonaID != "" {
		request.Persona = &persona{ID: p.PersonaID}
	}
	return request
}

// taskStatus is GET /suno/v2/status. Its data is an object for an upload and a
// list of clips for a generation.
type taskStatus struct {
	TaskID     rest.Text       `json:"taskId"`
	Status     string          `json:"status"`
	FailCode   rest.Text       `json:"failCode"`
	FailReason rest.Text       `json:"failReason"`
	Data       json.RawMessage `json:"data"`
}

// clip is an uploaded or a generated piece. Everything but its id and address is
// decoration, and is read loosely so as not to lose a paid result to it.
type clip struct {
	ID       rest.Text `json:"id"`
	AudioURL rest.Text `json:"audio_url"`
	ImageURL rest.Text `json:"image_url"`
	Title    rest.Text `json:"title"`
	Model    rest.Text `json:"model_name"`
	Metadata metadata  `json:"metadata"`
}

type metadata struct {
	Tags     rest.Text   `json:"tags"`
	Duration rest.Number `json:"duration"`
}

func (c clip) track() provider.Track {
	return provider.Track{
		AudioID: string(c.ID), AudioURL: string(c.AudioURL), ImageURL: string(c.ImageURL), Title: string(c.Title),
		Tags: string(c.Metadata.Tags), Model: string(c.Model), DurationSeconds: float64(c.Metadata.Duration),
	}
}
