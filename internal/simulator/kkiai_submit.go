package simulator

import (
	"math"
	"net/http"
	"slices"
)

// kkiaiModels are the values of mv that are named anywhere.
var kkiaiModels = []string{
	"chirp-v3-0", "chirp-v3-5", "chirp-v3-5-upload", "chirp-v3-5-tau", "chirp-v4", "chirp-v4-upload", "chirp-v4-tau",
	"chirp-auk", "chirp-auk-turbo", "chirp-bluejay", "chirp-v5", "chirp-crow", "chirp-fenix", "chirp-hawk", "chirp-hawk-wild", "chirp-goose",
}

var (
	kkiaiTexts = []string{"prompt", "mv", "title", "continue_clip_id", "task"}
	// kkiaiOptional are the other fields that mean something to a continuation.
	kkiaiOptional = []string{
		"continue_at", "tags", "negative_tags", "make_instrumental", "task_id", "notify_hook", "generation_type",
		"persona_id", "artist_clip_id", "vocal_gender",
	}
	// kkiaiElsewhere belong to the endpoint's other modes.
	kkiaiElsewhere = []string{
		"gpt_description_prompt", "cover_clip_id", "continued_aligned_prompt", "infill_start_s", "infill_end_s", "clip_id", "is_infill",
	}
)

func kkiaiSubmitFields() []string { return slices.Concat(kkiaiTexts, kkiaiOptional, kkiaiElsewhere) }

// kkiaiDoSubmit is step six, the paid one: the continuation of an uploaded clip
// or of a generated one. The endpoint's other modes (from a description, covers,
// concatenation) are not simulated: they lack the clip to continue.
func kkiaiDoSubmit(c *call) answer {
	o, refused := c.continuation()
	if refused != nil {
		return *refused
	}
	c.sim.count(func(n *Conduct) {
		for _, name := range kkiaiElsewhere {
			if _, sent := c.body[name]; sent {
				n.IgnoredFields[c.name+" "+name]++
			}
		}
	})
	if mistake := c.resolveContinuation(o); mistake != "" {
		if c.sim.opts.Kkiai.Mistakes == mistakesEarly {
			return c.bad(mistake)
		}
		o.Fate, o.Reason = fails, mistake
	}
	if refused := c.accept(o, c.sim.opts.ExtendTime); refused != nil {
		return *refused
	}
	a := answerJSON(http.StatusOK, map[string]any{"code": "success", "data": o.ID, "message": ""})
	a.changed, a.operation = true, o.ID
	return a
}

// continuation reads the body, as far as that needs no knowledge of clips.
func (c *call) continuation() (*operation, *answer) {
	instrumental, _ := c.body["make_instrumental"].(bool)
	for _, field := range kkiaiTexts {
		_, ok := c.text(field)
		// Lyrics are required, and an instrumental has none: an empty text is
		// the only way to satisfy both.
		_, given := c.body[field].(string)
		if !ok && (field != "prompt" || !given || !instrumental) {
			refused := c.missing(field)
			return nil, &refused
		}
	}
	at, given := c.body["continue_at"].(float64)
	detail := ""
	switch {
	case c.body["continue_at"] == nil:
		refused := c.missing("continue_at")
		return nil, &refused
	case !given:
		detail = "continue_at must be a number"
	case c.sim.opts.Kkiai.Position == positionWhole && at != math.Trunc(at):
		detail = "continue_at must be an integer"
	case c.body["task"] != "extend" && c.body["task"] != "upload_extend":
		detail = "unknown task"
	}
	if detail != "" {
		refused := c.bad(detail)
		return nil, &refused
	}
	o := &operation{Tracks: 2, ContinueAt: &at}
	o.Task, _ = c.text("task")
	o.Title, _ = c.text("title")
	o.Tags, _ = c.text("tags")
	o.Model, _ = c.text("mv")
	o.Prompt, _ = c.text("prompt")
	o.Callback, _ = c.text("notify_hook")
	o.Base = c.base()
	return o, c.checkTask()
}

// checkTask holds new-api's rule, where it is in force.
func (c *call) checkTask() *answer {
	if !c.sim.opts.Kkiai.TaskID {
		return nil
	}
	id, ok := c.text("task_id")
	if !ok {
		c.sim.count(func(n *Conduct) { n.MissingFields[c.name+" task_id"]++ })
		refused := c.bad("task id is empty")
		return &refused
	}
	s := c.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	o, u := s.state.operations[id], s.state.uploads[id]
	if u == nil {
		u = s.state.uploaded[id]
	}
	if o != nil && c.owns(o.Account) || u != nil && c.owns(u.Account) {
		return nil
	}
	s.conduct.UnknownIDs++
	refused := taskError(http.StatusBadRequest, "task_not_exist", "task_origin_not_exist")
	return &refused
}

// resolveContinuation finds the clip, or says what is wrong with the request.
func (c *call) resolveContinuation(o *operation) string {
	id, _ := c.text("continue_clip_id")
	s := c.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(s.now())
	o.Upstream = c.upstream()
	matching := "extend"
	if u := s.state.uploaded[id]; u != nil {
		if !c.owns(u.Account) {
			return "clip not found"
		}
		matching = "upload_extend"
		o.Upstream, o.SHA256, o.Length = u.Upstream, u.stored.SHA256, u.found.Length
		// Uploading a song again makes another clip: its sound says what job it is.
		c.incidental = []string{"continue_clip_id", "task_id"}
	} else {
		made, code, _ := c.resolveClips([]string{id})
		if code != 0 {
			return "clip not found"
		}
		o.Upstream, o.SHA256, o.Length = made[0].made.Upstream, made[0].made.SHA256, s.lengthOf(made[0])
	}
	switch {
	case o.Task != matching:
		return "Inconsistent task and generation params"
	case !slices.Contains(kkiaiModels, o.Model):
		return "model not found"
	case *o.ContinueAt < 0 || *o.ContinueAt >= o.Length.Seconds():
		return "continue_at is beyond the end of the clip"
	}
	return ""
}
