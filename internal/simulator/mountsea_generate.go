package simulator

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

var mountseaModels = []string{"chirp-v35", "chirp-v40", "chirp-v45", "chirp-45+", "chirp-v45-lite", "chirp-v50", "chirp-v55"}

func knownModel(name string) bool {
	custom, is := strings.CutPrefix(name, "chirp-custom:")
	if is {
		return uuid.Validate(custom) == nil
	}
	return slices.Contains(mountseaModels, name)
}

// mountseaDoGenerate refuses a malformed request at once and free of charge.
// What is well-formed and impossible (an unknown clip, clips that do not go
// together, a position beyond the end) is accepted, charged, and fails: the
// documents show no synchronous check, and this is the costlier mistake.
func mountseaDoGenerate(c *call) answer {
	name, ok := c.text("task")
	if !ok {
		return c.missing("task")
	}
	task, ok := findTask(name)
	if !ok {
		return c.bad("task must be a valid enum value")
	}
	if refused := c.checkGenerate(task); refused != nil {
		return *refused
	}
	o := &operation{Task: task.name, Tracks: 2}
	o.Title, _ = c.text("title")
	o.Tags, _ = c.text("tags")
	if at, given := c.body["continue_at"].(float64); given && slices.Contains(task.optional, "continue_at") {
		o.ContinueAt = &at
	}
	if slices.Contains(task.required, "audio_url") {
		address, refused := c.audio("audio_url")
		if refused != nil {
			return *refused
		}
		o.AudioURL, o.Upstream = address, c.upstream()
	} else {
		c.build(o, task)
	}
	return c.task(c.created(), o, c.sim.opts.ExtendTime)
}

// checkGenerate gives a refusal, or nil.
func (c *call) checkGenerate(task generateTask) *answer {
	for _, name := range task.required {
		if v := c.body[name]; v == nil || v == "" {
			refused := c.missing(name)
			return &refused
		}
	}
	for name, v := range c.body {
		if f, known := generateFields[name]; known && v != nil && !f.matches(v) {
			refused := c.bad(name + " must be of type " + f.Type)
			return &refused
		}
	}
	detail := ""
	if model, _ := c.text("model"); !knownModel(model) {
		detail = "model must be a valid enum value"
	}
	if at, _ := c.body["continue_at"].(float64); at < 0 {
		detail = "continue_at must not be less than 0"
	}
	if detail != "" {
		refused := c.bad(detail)
		return &refused
	}
	c.countIgnored(task)
	return nil
}

func (c *call) countIgnored(task generateTask) {
	c.sim.count(func(n *Conduct) {
		for _, name := range task.ignored() {
			if _, sent := c.body[name]; sent {
				n.IgnoredFields[c.name+" "+name]++
			}
		}
	})
}

// build fills in an operation that works on clips, a playlist or nothing.
func (c *call) build(o *operation, task generateTask) {
	var clips []string
	switch {
	case slices.Contains(task.required, "clip_id"):
		id, _ := c.text("clip_id")
		clips = []string{id}
	case slices.Contains(task.required, "mashup_clip_ids"):
		clips = c.list("mashup_clip_ids")
	}
	s := c.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(s.now())
	o.Upstream = c.upstream()
	if playlist, needed := c.body["playlist_id"].(string); needed && slices.Contains(task.required, "playlist_id") {
		c.buildOnPlaylist(o, playlist)
	}
	if len(clips) == 0 {
		return
	}
	made, code, reason := c.resolveClips(clips)
	if code != 0 {
		o.Fate, o.FailCode, o.Reason = fails, code, reason
		return
	}
	o.Upstream, o.SHA256 = made[0].made.Upstream, made[0].made.SHA256
	o.Length = s.lengthOf(made[0])
	if o.ContinueAt != nil && *o.ContinueAt >= o.Length.Seconds() {
		o.Fate, o.FailCode, o.Reason = fails, codeOutOfRange, "continue_at is beyond the end of the audio."
	}
}

func (c *call) buildOnPlaylist(o *operation, id string) {
	p := c.sim.state.playlists[id]
	if p == nil && !c.unknown() || p != nil && !c.owns(p.Account) {
		o.Fate, o.FailCode, o.Reason = fails, codeNoClip, "Playlist not found."
		return
	}
	o.Upstream = p.Upstream
}

// list gives the strings of an array field.
func (c *call) list(field string) []string {
	values, _ := c.body[field].([]any)
	var texts []string
	for _, v := range values {
		if text, is := v.(string); is {
			texts = append(texts, text)
		}
	}
	return texts
}

// resolveClips finds finished clips that the account owns and that live on one
// upstream account, or says why not. The caller holds mu.
func (c *call) resolveClips(ids []string) (made []clipRef, code int, reason string) {
	for _, id := range ids {
		ref, known := c.sim.state.clips[id]
		if !known || !ref.made.ended || ref.made.Fate != succeeds {
			c.unknown()
			return nil, codeNoClip, "Clip not found."
		}
		if !c.owns(ref.made.Account) {
			return nil, codeNoClip, "Clip not found."
		}
		made = append(made, ref)
	}
	for _, ref := range made {
		if ref.made.Upstream != made[0].made.Upstream {
			c.sim.conduct.WrongAccount++
			return nil, codeMixedClips, "Clips belong to different accounts."
		}
	}
	return made, 0, ""
}

// mountseaDoPlaylist is synchronous and free, and a check of the same-account
// promise of batch upload sessions.
func mountseaDoPlaylist(c *call) answer {
	ids := c.list("clip_ids")
	if len(ids) == 0 {
		return c.missing("clip_ids")
	}
	if len(ids) > 4 {
		return c.bad("clip_ids must contain no more than 4 elements")
	}
	s := c.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.advance(now)
	made, code, reason := c.resolveClips(ids)
	switch code {
	case codeNoClip:
		return c.no(http.StatusNotFound, reason)
	case codeMixedClips:
		return c.no(http.StatusBadRequest, reason)
	}
	p := &playlist{ID: s.newID("playlist"), Account: c.account, Upstream: made[0].made.Upstream}
	if err := s.record(&event{Time: now, Playlist: p}); err != nil {
		return c.broken()
	}
	a := answerJSON(c.created(), map[string]any{"playlist_id": p.ID})
	a.changed = true
	return a
}

// lengthOf gives how long a clip plays: an upload as long as what was uploaded,
// a generated track as long as its file.
func (s *Simulator) lengthOf(ref clipRef) time.Duration {
	if ref.made.Task == "" {
		return ref.made.Length
	}
	return time.Duration(s.framesOf(ref.made, ref.index)) * frameTime
}

// framesOf gives the length of a clip's file. A continuation replays its source
// up to where it sets in, and adds 8 to 20 seconds; all of it is scaled.
func (s *Simulator) framesOf(o *operation, i int) int {
	length := o.Length
	if o.Task != "" {
		if o.ContinueAt != nil {
			length = time.Duration(*o.ContinueAt * float64(time.Second))
		}
		more := 8 + 12*diceOf(o.clip(i)).fraction("length", 0)
		length += time.Duration(more * float64(time.Second))
	}
	return framesFor(time.Duration(float64(length) * s.opts.TrackScale))
}
