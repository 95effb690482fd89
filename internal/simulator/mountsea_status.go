package simulator

import (
	"net/http"
	"time"
)

// The status words of MountSea, in the order in which an operation passes
// through them. The documents also list "awaiting", for a kind of task that is
// not simulated.
var (
	uploadStages   = []stageUntil{{"queued", 0.1}, {"ready", 0.25}, {"running", 1}}
	generateStages = []stageUntil{{"queued", 0.05}, {"ready", 0.15}, {"running", 0.7}, {"stream", 1}}
)

// stageUntil is a status and the share of the whole time at which it ends.
type stageUntil struct {
	word string
	end  float64
}

// stage names what an operation is doing at a time. Words never go backwards:
// while the source is being downloaded nothing runs far ahead of it.
func (o *operation) stage(now time.Time) string {
	if d := dialects[o.Provider]; d != nil {
		return d.songStage(o, now)
	}
	if o.ended {
		return string(o.Fate)
	}
	stages := uploadStages
	if o.Task != "" {
		stages = generateStages
	}
	passed := float64(now.Sub(o.Created)) / float64(max(o.Took, 1))
	at, last := 0, o.furthest(len(stages)-1)
	for at < last && passed >= stages[at].end {
		at++
	}
	return stages[at].word
}

// furthest limits the stage: a download that waits keeps the operation queued,
// one under way lets it run and no more, and what will fail has nothing to
// stream.
func (o *operation) furthest(last int) int {
	switch o.source {
	case sourceWaiting:
		return 0
	case sourceFetching:
		return min(last, 2)
	case sourceDone:
		if o.Fate != succeeds {
			return min(last, 2)
		}
	}
	return last
}

// statusAnswer is the status object. Which fields a pending one has beside the
// required three is not documented; see pendingData.
type statusAnswer struct {
	TaskID     string `json:"taskId"`
	Status     string `json:"status"`
	CreatedAt  string `json:"createdAt"`
	FailReason string `json:"failReason,omitempty"`
	FailCode   int    `json:"failCode,omitempty"`
	Data       any    `json:"data,omitempty"`
	FinishAt   string `json:"finishAt,omitempty"`
}

// uploadData is a finished upload, field by field as in the documents' example.
type uploadData struct {
	ID          string `json:"id"`
	Status      string `json:"status"`
	AudioURL    string `json:"audio_url"`
	ImageURL    string `json:"image_url"`
	HasVocal    bool   `json:"has_vocal"`
	DisplayTags string `json:"display_tags"`
}

// clipData is one track of a generation.
type clipData struct {
	ID       string       `json:"id"`
	Status   string       `json:"status"`
	Title    string       `json:"title"`
	AudioURL string       `json:"audio_url"`
	ImageURL string       `json:"image_url"`
	Metadata clipMetadata `json:"metadata"`
}

type clipMetadata struct {
	Tags string `json:"tags"`
	// Duration is absent while the track still streams.
	Duration float64 `json:"duration,omitempty"`
}

func mountseaDoStatus(c *call) answer {
	id := c.http.URL.Query().Get("taskId")
	if id == "" {
		return c.missing("taskId")
	}
	s := c.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.advance(now)
	if in := s.state.sessions[id]; in != nil && c.owns(in.Account) {
		return c.sessionStatus(in, now)
	}
	if o := s.state.operations[id]; o != nil && o.Provider == c.provider() && c.owns(o.Account) {
		return c.operationStatus(o, now)
	}
	if s.state.sessions[id] == nil && s.state.operations[id] == nil {
		c.unknown()
	}
	return c.no(http.StatusNotFound, "Task not found")
}

// sessionStatus is "success" from the start, which says nothing about items:
// the list grows as they succeed, in the order in which they do, and failed
// ones never show. The list is kept encoded, for sessions have thousands.
func (c *call) sessionStatus(in *session, now time.Time) answer {
	s := c.sim
	s.polled(&in.lastPoll, now)
	if len(in.members) > in.listed {
		s.note(&event{Time: now, Listed: &listed{Session: in.ID, Count: len(in.members)}})
	}
	at := stamp(in.Created)
	body := make([]byte, 0, len(in.ids)+200)
	body = append(body, `{"taskId":"`+in.ID+`","status":"success","createdAt":"`+at+`","finishAt":"`+at+`","data":{"audioIds":[`...)
	body = append(append(body, in.ids...), "]}}"...)
	return answer{status: http.StatusOK, body: body}
}

func (c *call) operationStatus(o *operation, now time.Time) answer {
	c.sim.asked(o, now)
	a := statusAnswer{TaskID: o.ID, Status: o.stage(now), CreatedAt: stamp(o.Created)}
	if o.ended {
		a.FinishAt = stamp(o.finish)
	}
	switch {
	case o.ended && o.Fate != succeeds:
		a.FailReason, a.FailCode = o.Reason, o.FailCode
	case o.ended && o.Task == "":
		a.Data = c.uploadData(o)
	case o.ended || a.Status == "stream":
		a.Data = c.clipsData(o)
	default:
		a.Data = c.pendingData()
	}
	return answerJSON(http.StatusOK, a)
}

// pendingData is what stands in "data" before there is any: nothing, null or an
// empty object, by seed.
func (c *call) pendingData() any {
	switch c.sim.dice.pick("mountsea/pending data", 0, 3) {
	case 0:
		return struct{}{}
	case 1:
		return (*struct{})(nil) // a typed nil is written as null, not omitted
	}
	return nil
}

var displayTags = []string{
	"indie pop, electronic pop, male vocals", "ambient, piano, slow", "drum and bass, energetic",
	"folk, acoustic guitar, warm", "synthwave, retro, female vocals",
}

func (c *call) uploadData(o *operation) uploadData {
	id := o.clip(0)
	look := diceOf(id)
	return uploadData{
		ID: id, Status: "complete", AudioURL: c.link(id + ".mp3"), ImageURL: c.link("image_" + id + ".jpeg"),
		HasVocal: look.pick("vocal", 0, 2) == 1, DisplayTags: displayTags[look.pick("tags", 0, len(displayTags))],
	}
}

func (c *call) clipsData(o *operation) []clipData {
	clips := make([]clipData, o.Tracks)
	for i := range clips {
		id := o.clip(i)
		clips[i] = clipData{
			ID: id, Status: "streaming", Title: o.title(), AudioURL: c.link(id + ".mp3"),
			ImageURL: c.link("image_" + id + ".jpeg"), Metadata: clipMetadata{Tags: o.Tags},
		}
		if o.ended {
			clips[i].Status = "complete"
			clips[i].Metadata.Duration = seconds(c.sim.lengthOf(clipRef{o, i}))
		}
	}
	return clips
}

// title is the wished one; who names nothing gets something.
func (o *operation) title() string {
	if o.Title == "" {
		return "Untitled"
	}
	return o.Title
}

// asked notes a question about an operation, whose answer shows the end if
// there is one. The caller holds mu.
func (s *Simulator) asked(o *operation, now time.Time) {
	s.polled(&o.lastPoll, now)
	if o.ended && !o.seen.IsZero() {
		s.conduct.PollsAfterEnd++
	}
	if o.ended && o.seen.IsZero() {
		s.note(&event{Time: now, Seen: o.ID})
	}
}

// polled counts a question that came too soon after the last one. The caller
// holds mu.
func (s *Simulator) polled(last *time.Time, now time.Time) {
	if !last.IsZero() && now.Sub(*last) < s.opts.PollAdvice {
		s.conduct.FastPolls++
	}
	*last = now
}
