package kie

import (
	"bytes"
	"cmp"
	"encoding/json"

	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
)

// song is a track, in the spelling of record-info (audioUrl) or in that of
// callbacks and the jobs route (audio_url). Everything but its id and address is
// decoration, and is read loosely so as not to lose a paid result to it.
type song struct {
	ID            rest.Text   `json:"id"`
	AudioURL      rest.Text   `json:"audioUrl"`
	AudioURLSnake rest.Text   `json:"audio_url"`
	ImageURL      rest.Text   `json:"imageUrl"`
	ImageURLSnake rest.Text   `json:"image_url"`
	Title         rest.Text   `json:"title"`
	Tags          rest.Text   `json:"tags"`
	Model         rest.Text   `json:"modelName"`
	ModelSnake    rest.Text   `json:"model_name"`
	Duration      rest.Number `json:"duration"`
}

// address is where the continuation lies. The sourceAudioUrl beside it is no
// substitute: it may be the piece that was uploaded.
func (s song) address() string { return string(cmp.Or(s.AudioURL, s.AudioURLSnake)) }

func (s song) ready() bool { return s.ID != "" && s.address() != "" }

// songs finds the tracks: response.sunoData, in one page response.data, and on the
// jobs route resultJson.data. What holds them is an object, or that object as a
// string; both were seen.
func (r record) songs() []song {
	result := unquoted(r.Response)
	if len(r.ResultJSON) > 0 {
		result = unquoted(r.ResultJSON)
	}
	var holder struct {
		SunoData json.RawMessage `json:"sunoData"`
		Data     json.RawMessage `json:"data"`
	}
	if json.Unmarshal(result, &holder) != nil {
		return nil
	}
	var list []song
	if json.Unmarshal(holder.SunoData, &list) == nil && len(list) > 0 {
		return list
	}
	if json.Unmarshal(holder.Data, &list) != nil {
		return nil
	}
	return list
}

// unquoted undoes the string around an object.
func unquoted(raw json.RawMessage) json.RawMessage {
	var inner string
	if bytes.HasPrefix(raw, []byte(`"`)) && json.Unmarshal(raw, &inner) == nil {
		return json.RawMessage(inner)
	}
	return raw
}

// complete says whether every track has what a result must have.
func complete(songs []song) bool {
	for _, s := range songs {
		if !s.ready() {
			return false
		}
	}
	return true
}

// tracksSoFar is what a running task already offers; while it runs, nothing has to
// be there.
func tracksSoFar(r record) []provider.Track { return tracks(r.songs()) }

func tracks(songs []song) []provider.Track {
	var list []provider.Track
	for _, s := range songs {
		if s.ready() {
			list = append(list, provider.Track{
				AudioID: string(s.ID), AudioURL: s.address(), ImageURL: string(cmp.Or(s.ImageURL, s.ImageURLSnake)),
				Title: string(s.Title), Tags: string(s.Tags), Model: string(cmp.Or(s.Model, s.ModelSnake)), DurationSeconds: float64(s.Duration),
			})
		}
	}
	return list
}
