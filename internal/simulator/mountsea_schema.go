package simulator

import (
	"maps"
	"net/http"
	"slices"
)

// generateTask is one kind of generation: what it must and may be given.
type generateTask struct {
	name        string
	description string
	required    []string
	optional    []string
}

// style are the fields that every task which makes music from words takes.
var style = []string{"prompt", "gpt_description_prompt", "tags", "negative_tags", "title", "make_instrumental", "vocal_gender", "controls", "persona"}

// generateTasks follows the table of the documents. What is required is
// documented; what is optional is documented for extend and partly for others,
// and assumed to be alike for the rest.
var generateTasks = []generateTask{
	{"create", "Create new music from scratch", []string{"model"}, style},
	{"extend", "Extend existing music", []string{"clip_id", "model"}, with(style, "continue_at")},
	{"upload_extend", "Extend uploaded audio", []string{"audio_url", "model"}, with(style, "continue_at")},
	{"upload_cover", "Cover uploaded audio", []string{"audio_url", "model"}, style},
	{"cover", "Create cover of existing clip", []string{"clip_id", "model"}, style},
	{"use_styles_lyrics", "Use styles from existing clip with new lyrics", []string{"clip_id", "model"}, style},
	{"replace_section", "Replace a section of existing audio", []string{"clip_id", "range", "infill_context_range", "continued_aligned_prompt", "model"}, with(style, "infill_lyrics", "infill_type")},
	{"add_instrumental", "Add instrumental to audio", []string{"clip_id", "range", "model"}, style},
	{"add_vocals", "Add vocals to audio", []string{"clip_id", "range", "model"}, style},
	{"gen_stem_two", "Generate two-track stems", []string{"clip_id", "model"}, []string{"title"}},
	{"gen_stem_all", "Generate all stems", []string{"clip_id", "model"}, []string{"title"}},
	{"mashup", "Mashup two songs", []string{"mashup_clip_ids", "model"}, style},
	{"sample", "Sample from existing clip", []string{"clip_id", "range", "model"}, style},
	{"inspiration", "Generate from inspiration playlist", []string{"playlist_id", "model"}, style},
	{"sound", "Generate sound effects", []string{"sound", "model"}, []string{"title"}},
}

func with(fields []string, more ...string) []string { return slices.Concat(fields, more) }

// generateField documents one field of a generate body.
type generateField struct {
	Field       string `json:"field"`
	Description string `json:"description"`
	Example     any    `json:"example"`
	Type        string `json:"type"`
}

var generateFields = fieldsByName([]generateField{
	{"model", "Model version", "chirp-v50", "string"},
	{"clip_id", "Source clip ID", "clip_abc123", "string"},
	{"audio_url", "Source audio URL", "https://example.com/audio.mp3", "string"},
	{"continue_at", "Continue position in seconds", 30, "number"},
	{"prompt", "Lyrics or prompt text", "[Verse]\nHello world...", "string"},
	{"gpt_description_prompt", "Description of the music", "A happy pop song about summer vacation", "string"},
	{"tags", "Style tags", "Pop, Happy", "string"},
	{"negative_tags", "Styles to avoid", "Sad, Slow", "string"},
	{"title", "Title", "Summer Vibes", "string"},
	{"make_instrumental", "Whether to make instrumental", false, "boolean"},
	{"vocal_gender", "Vocal gender, m or f", "m", "string"},
	{"controls", "Weights from 0 to 1", map[string]any{"style_weight": 0.6, "audio_weight": 0.4, "weirdness_constraint": 0.2}, "object"},
	{"persona", "Persona", map[string]any{"persona_id": "persona_xyz789", "artist_clip_id": "clip_abc123"}, "object"},
	{"range", "Section in seconds", map[string]any{"start_s": 15.36, "end_s": 53.8}, "object"},
	{"infill_context_range", "Context in seconds", map[string]any{"start_s": 0, "end_s": 69.16}, "object"},
	{"continued_aligned_prompt", "Whole lyrics with the new section", "[Verse 1]\nOriginal lyrics...", "string"},
	{"infill_lyrics", "Lyrics of the new section", "[Bridge]\nNew lyrics...", "string"},
	{"infill_type", "How to fill in", "smart", "string"},
	{"mashup_clip_ids", "Two clips of one account", []string{"clip_abc123", "clip_def456"}, "array"},
	{"playlist_id", "Playlist to draw from", "42af5178-18a4-4fe7-b8f2-2f80c53b4d94", "string"},
	{"playlist_clip_ids", "Deprecated", []string{"clip_abc123"}, "array"},
	{"sound", "Sound effect", map[string]any{"description": "Deep warm bass", "type": "one_shot"}, "object"},
})

func fieldsByName(all []generateField) map[string]generateField {
	byName := map[string]generateField{}
	for _, f := range all {
		byName[f.Field] = f
	}
	return byName
}

func generateFieldNames() []string {
	return append(slices.Sorted(maps.Keys(generateFields)), "task")
}

// matches says whether a JSON value has the field's type.
func (f generateField) matches(v any) bool {
	ok := false
	switch f.Type {
	case "string":
		_, ok = v.(string)
	case "number":
		_, ok = v.(float64)
	case "boolean":
		_, ok = v.(bool)
	case "object":
		_, ok = v.(map[string]any)
	case "array":
		_, ok = v.([]any)
	}
	return ok
}

func findTask(name string) (generateTask, bool) {
	i := slices.IndexFunc(generateTasks, func(t generateTask) bool { return t.name == name })
	if i < 0 {
		return generateTask{}, false
	}
	return generateTasks[i], true
}

// ignored lists the fields that exist and that the task does not use.
func (t generateTask) ignored() []string {
	names := slices.Sorted(maps.Keys(generateFields))
	return slices.DeleteFunc(names, func(name string) bool {
		return slices.Contains(t.required, name) || slices.Contains(t.optional, name)
	})
}

// taskSchema is an element of the schema endpoint's answer.
type taskSchema struct {
	Task        string          `json:"task"`
	Description string          `json:"description"`
	Required    []generateField `json:"required"`
	Optional    []generateField `json:"optional"`
	NotAllowed  []string        `json:"notAllowed"`
	Example     map[string]any  `json:"example"`
}

func (t generateTask) schema() taskSchema {
	out := taskSchema{
		Task: t.name, Description: t.description, NotAllowed: t.ignored(),
		Required: make([]generateField, 0, len(t.required)), Optional: make([]generateField, 0, len(t.optional)),
		Example: map[string]any{"task": t.name},
	}
	for _, name := range t.required {
		out.Required = append(out.Required, generateFields[name])
		out.Example[name] = generateFields[name].Example
	}
	for _, name := range t.optional {
		out.Optional = append(out.Optional, generateFields[name])
	}
	return out
}

// mountseaDoSchema answers with an array also when one task is asked for.
func mountseaDoSchema(c *call) answer {
	wanted := c.http.URL.Query().Get("task")
	if _, known := findTask(wanted); wanted != "" && !known {
		return c.bad("task must be a valid enum value")
	}
	schemas := []taskSchema{}
	for _, t := range generateTasks {
		if wanted == "" || wanted == t.name {
			schemas = append(schemas, t.schema())
		}
	}
	return answerJSON(http.StatusOK, schemas)
}
