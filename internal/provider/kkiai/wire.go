package kkiai

import (
	"cmp"
	"encoding/json"
	"math"

	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
)

// either reads a T that stands alone or is the data of an envelope: the answers
// of steps 1 to 5 pass through from behind the gateway, and come both ways.
type either[T any] struct{ value T }

// UnmarshalJSON implements json.Unmarshaler.
func (e *either[T]) UnmarshalJSON(raw []byte) error {
	var envelope struct {
		Data json.RawMessage `json:"data"`
	}
	if json.Unmarshal(raw, &envelope) == nil && len(envelope.Data) > 0 && envelope.Data[0] == '{' {
		raw = envelope.Data
	}
	return json.Unmarshal(raw, &e.value)
}

type authorizeRequest struct {
	Extension string `json:"extension"`
}

// ticket is the answer to step 1: kkiai's names, and those of its relatives.
type ticket struct {
	UploadID  rest.Text            `json:"upload_id"`
	ID        rest.Text            `json:"id"`
	UploadURL rest.Text            `json:"upload_url"`
	CamelURL  rest.Text            `json:"uploadUrl"`
	URL       rest.Text            `json:"url"`
	Fields    map[string]rest.Text `json:"fields"`
}

type finishRequest struct {
	Type     string `json:"upload_type"`
	Filename string `json:"upload_filename"`
}

type uploadStatus struct {
	ID           rest.Text `json:"id"`
	Status       rest.Text `json:"status"`
	ErrorMessage rest.Text `json:"error_message"`
}

type initialized struct {
	ClipID  rest.Text `json:"clip_id"`
	CamelID rest.Text `json:"clipId"`
}

// submission is the body of step 6. Those without omitempty are in kkiai's own
// example; the rest was seen at the same endpoint, and is sent only when wanted.
type submission struct {
	Task             string  `json:"task"`
	Model            string  `json:"mv"`
	ClipID           string  `json:"continue_clip_id"`
	ContinueAt       float64 `json:"continue_at"`
	Prompt           string  `json:"prompt"`
	Title            string  `json:"title"`
	Tags             string  `json:"tags"`
	NegativeTags     string  `json:"negative_tags"`
	MakeInstrumental bool    `json:"make_instrumental,omitempty"`
	VocalGender      string  `json:"vocal_gender,omitempty"`
	PersonaID        string  `json:"persona_id,omitempty"`
	TaskID           string  `json:"task_id,omitempty"`
	NotifyHook       string  `json:"notify_hook,omitempty"`
}

func (d *driver) submission(r *provider.Extend) submission {
	p := r.Params
	at := p.ContinueAt
	if d.whole {
		at = max(1, math.Floor(at))
	}
	origin := d.taskID
	if origin == "clip" {
		origin = r.Clip.ID
	}
	return submission{
		Task: "upload_extend", Model: cmp.Or(p.Model, defaultModel), ClipID: r.Clip.ID, ContinueAt: at,
		Prompt: p.Prompt, Title: p.Title, Tags: p.Style, NegativeTags: p.NegativeTags, MakeInstrumental: p.Instrumental,
		VocalGender: p.VocalGender, PersonaID: p.PersonaID, TaskID: origin, NotifyHook: r.CallbackURL,
	}
}

// taskIDOf reads the data of an accepted submission: the bare id, or a task.
func taskIDOf(data json.RawMessage) string {
	var bare rest.Text
	if json.Unmarshal(data, &bare) == nil && bare != "" {
		return string(bare)
	}
	var t task
	if json.Unmarshal(data, &t) != nil {
		return ""
	}
	return t.id()
}

type fetchRequest struct {
	IDs    []string `json:"ids"`
	Action string   `json:"action"`
}

// task is a task as it is fetched, and as it is delivered to notify_hook. Tables
// and examples do not agree on the spelling of its fields.
type task struct {
	ID          rest.Text       `json:"task_id"`
	CamelID     rest.Text       `json:"taskId"`
	Status      rest.Text       `json:"status"`
	FailReason  rest.Text       `json:"fail_reason"`
	CamelReason rest.Text       `json:"failReason"`
	Data        json.RawMessage `json:"data"`
}

func (t *task) id() string { return string(cmp.Or(t.ID, t.CamelID)) }

// clips is what there is so far; early it may be null, or missing.
func (t *task) clips() []clip {
	var clips []clip
	if json.Unmarshal(t.Data, &clips) != nil {
		return nil
	}
	return clips
}

// clip is a generated piece. Everything but its id and address is decoration, and
// is read loosely so as not to lose a paid result to it.
type clip struct {
	ID         rest.Text       `json:"id"`
	ClipID     rest.Text       `json:"clip_id"`
	Status     rest.Text       `json:"status"`
	AudioURL   rest.Text       `json:"audio_url"`
	ImageURL   rest.Text       `json:"image_url"`
	LargeImage rest.Text       `json:"image_large_url"`
	Title      rest.Text       `json:"title"`
	Model      rest.Text       `json:"model_name"`
	Duration   rest.Number     `json:"duration"`
	Metadata   json.RawMessage `json:"metadata"`
}

type metadata struct {
	Tags         rest.Text   `json:"tags"`
	Duration     rest.Number `json:"duration"`
	ErrorMessage rest.Text   `json:"error_message"`
}

func (c clip) id() string { return string(cmp.Or(c.ID, c.ClipID)) }

func (c clip) metadata() metadata {
	var m metadata
	if json.Unmarshal(c.Metadata, &m) != nil {
		return metadata{}
	}
	return m
}

func (c clip) track() provider.Track {
	m := c.metadata()
	return provider.Track{
		AudioID: c.id(), AudioURL: string(c.AudioURL), ImageURL: string(cmp.Or(c.ImageURL, c.LargeImage)), Title: string(c.Title),
		Tags: string(m.Tags), Model: string(c.Model), DurationSeconds: float64(cmp.Or(m.Duration, c.Duration)),
	}
}
