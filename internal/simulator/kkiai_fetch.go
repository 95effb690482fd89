package simulator

import (
	"net/http"
	"strconv"
	"time"
)

// kkiaiStages are the status words of the family, in their order; SUCCESS or
// FAILURE ends it.
var kkiaiStages = []stageUntil{{"NOT_START", 0.04}, {"SUBMITTED", 0.1}, {"QUEUED", 0.25}, {"IN_PROGRESS", 1}}

// kkiaiTask is the task structure.
type kkiaiTask struct {
	TaskID     string `json:"task_id"`
	NotifyHook string `json:"notify_hook"`
	Action     string `json:"action"`
	Status     string `json:"status"`
	FailReason string `json:"fail_reason"`
	SubmitTime any    `json:"submit_time"`
	StartTime  any    `json:"start_time"`
	FinishTime any    `json:"finish_time"`
	Progress   string `json:"progress"`
	// Data is null or empty until there are clips.
	Data any `json:"data"`
}

// kkiaiClip is one track of a task.
type kkiaiClip struct {
	ID                string       `json:"id"`
	Status            string       `json:"status"`
	Title             string       `json:"title"`
	AudioURL          string       `json:"audio_url"`
	VideoURL          string       `json:"video_url"`
	ImageURL          string       `json:"image_url"`
	ImageLargeURL     string       `json:"image_large_url"`
	ModelName         string       `json:"model_name"`
	MajorModelVersion string       `json:"major_model_version"`
	CreatedAt         string       `json:"created_at"`
	Metadata          kkiaiDetails `json:"metadata"`
}

type kkiaiDetails struct {
	Tags   string `json:"tags"`
	Prompt string `json:"prompt"`
	Type   string `json:"type"`
	// Duration is null while the track streams.
	Duration     any `json:"duration"`
	ErrorType    any `json:"error_type"`
	ErrorMessage any `json:"error_message"`
}

// kkiaiEnvelope is around every answer of the gateway's own endpoints.
type kkiaiEnvelope struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data"`
}

func kkiaiDoFetch(c *call) answer {
	s := c.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.advance(now)
	o := c.kkiaiFind(c.http.PathValue("id"))
	if o == nil {
		return taskError(http.StatusBadRequest, "task_not_exist", "task_not_exist")
	}
	s.asked(o, now)
	task := s.kkiaiTask(o, c.base(), now)
	// kkiai's page shows a bare id where its relatives have the structure. Some
	// seeds do that for a moment after the submission.
	if task.Status == kkiaiStages[0].word && s.dice.pick("kkiai/bare id", 0, 2) == 1 {
		return answerJSON(http.StatusOK, kkiaiEnvelope{Code: "success", Data: o.ID})
	}
	return answerJSON(http.StatusOK, kkiaiEnvelope{Code: "success", Data: task})
}

// kkiaiFind gives an operation of the account, or nil. The caller holds mu.
func (c *call) kkiaiFind(id string) *operation {
	o := c.sim.state.operations[id]
	if o == nil || o.Provider != c.provider() {
		c.unknown()
		return nil
	}
	if !c.owns(o.Account) {
		return nil
	}
	return o
}

// kkiaiDoBatch leaves out what it does not know: it has no other way to say so.
func kkiaiDoBatch(c *call) answer {
	if c.body["ids"] == nil {
		return c.missing("ids")
	}
	s := c.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.advance(now)
	tasks := []kkiaiTask{}
	for _, id := range c.list("ids") {
		if o := c.kkiaiFind(id); o != nil {
			s.asked(o, now)
			tasks = append(tasks, s.kkiaiTask(o, c.base(), now))
		}
	}
	return answerJSON(http.StatusOK, kkiaiEnvelope{Code: "success", Data: tasks})
}

// kkiaiTask describes an operation as it is at a time, with files at a base. The
// caller holds mu.
func (s *Simulator) kkiaiTask(o *operation, base string, now time.Time) kkiaiTask {
	share := float64(now.Sub(o.Created)) / float64(max(o.Took, 1))
	at := 0
	for at < len(kkiaiStages)-1 && share >= kkiaiStages[at].end {
		at++
	}
	t := kkiaiTask{
		TaskID: o.ID, NotifyHook: o.Callback, Action: "MUSIC", Status: kkiaiStages[at].word,
		SubmitTime: s.epochSeconds(o.Created), StartTime: s.epochSeconds(time.Time{}), FinishTime: s.epochSeconds(time.Time{}),
		Progress: strconv.Itoa(min(99, int(share*100))) + "%",
	}
	if at == len(kkiaiStages)-1 {
		t.StartTime = s.epochSeconds(o.Created.Add(time.Duration(kkiaiStages[at-1].end * float64(o.Took))))
	}
	if s.dice.pick("kkiai/early data", 0, 2) == 0 {
		t.Data = []kkiaiClip{}
	}
	switch {
	case o.ended && o.Fate == succeeds:
		t.Status, t.Progress, t.FinishTime, t.Data = "SUCCESS", "100%", s.epochSeconds(o.finish), s.kkiaiClips(o, base)
	case o.ended:
		t.Status, t.Progress, t.FinishTime, t.FailReason = "FAILURE", "100%", s.epochSeconds(o.finish), o.Reason
	case o.stage(now) == "stream":
		t.Data = s.kkiaiClips(o, base)
	}
	return t
}

// epochSeconds writes a time as the family does, in seconds since 1970 and 0 for
// never. Some relatives send the number as text: by seed.
func (s *Simulator) epochSeconds(t time.Time) any {
	var at int64
	if !t.IsZero() {
		at = t.Unix()
	}
	if s.dice.pick("kkiai/times", 0, 2) == 1 {
		return strconv.FormatInt(at, 10)
	}
	return at
}

func (s *Simulator) kkiaiClips(o *operation, base string) []kkiaiClip {
	clips := make([]kkiaiClip, o.Tracks)
	for i := range clips {
		id := o.clip(i)
		cover := base + "/cdn/image_" + id + ".jpeg"
		clips[i] = kkiaiClip{
			ID: id, Status: "streaming", Title: o.title(), AudioURL: base + "/cdn/" + id + ".mp3",
			ImageURL: cover, ImageLargeURL: cover, ModelName: o.Model, MajorModelVersion: "v4", CreatedAt: stamp(o.Created),
			Metadata: kkiaiDetails{Tags: o.Tags, Prompt: o.Prompt, Type: "gen"},
		}
		if o.ended {
			clips[i].Status = "complete"
			clips[i].Metadata.Duration = seconds(s.lengthOf(clipRef{o, i}))
		}
	}
	return clips
}
