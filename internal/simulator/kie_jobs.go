package simulator

import (
	"strconv"
	"time"
)

// The newer, unified route of KIE: createTask with a model and its input, and
// recordInfo with the results as JSON in a string.

const unifiedModel = "ai-music-api/upload-and-extend-audio"

// unifiedNames are the fields of upload-extend under their names in "input".
// There is no defaultParamFlag: what is left out is inherited.
var unifiedNames = map[string]string{
	"uploadUrl": "upload_url", "continueAt": "continue_at", "negativeTags": "negative_tags", "vocalGender": "vocal_gender",
	"styleWeight": "style_weight", "weirdnessConstraint": "weirdness_constraint", "audioWeight": "audio_weight",
	"personaId": "persona_id", "personaModel": "persona_model",
}

// unifiedFields are the known keys of "input".
var unifiedFields = map[string]bool{
	"upload_url": true, "model": true, "instrumental": true, "continue_at": true, "prompt": true, "lyrics": true, "style": true,
	"title": true, "negative_tags": true, "vocal_gender": true, "style_weight": true, "weirdness_constraint": true,
	"audio_weight": true, "persona_id": true, "persona_model": true, "variety": true,
}

// create is the paid request of the unified route. Which inputs it cannot do
// without is nowhere listed; these three are in every example.
func (d *dialect) create(c *call) answer {
	model, ok := c.text("model")
	if !ok {
		return c.missing("model")
	}
	if model != unifiedModel {
		return c.bad("model is not supported")
	}
	input, ok := c.body["input"].(map[string]any)
	if !ok {
		return c.missing("input")
	}
	c.countUnknown(input)
	param := string(encode(c.body))
	f := songForm{call: c, dialect: d, names: unifiedNames}
	if c.body["callBackUrl"] != nil {
		if _, refused := c.audio("callBackUrl"); refused != nil {
			return *refused
		}
		input["callBackUrl"] = c.body["callBackUrl"]
	}
	// From here on the input is the body: one job has one hash of parameters
	// wherever the audio lies.
	c.body = input
	if input["prompt"] == nil && input["lyrics"] != nil {
		input["prompt"] = input["lyrics"]
	}
	if refused := f.check([]string{"uploadUrl", "model", "continueAt"}); refused != nil {
		return *refused
	}
	return f.submit(d, &operation{Unified: true, Param: param})
}

func (c *call) countUnknown(input map[string]any) {
	c.sim.count(func(n *Conduct) {
		for field := range input {
			if !unifiedFields[field] {
				n.UnknownFields[c.name+" input."+field]++
			}
		}
	})
}

// unifiedJob is the data of recordInfo, and of callbacks on this route.
type unifiedJob struct {
	TaskID     string `json:"taskId"`
	Model      string `json:"model"`
	State      string `json:"state"`
	Param      string `json:"param"`
	ResultJSON string `json:"resultJson"`
	FailCode   any    `json:"failCode"`
	FailMsg    any    `json:"failMsg"`
	// The times are milliseconds, and null before the end.
	CostTime        any   `json:"costTime"`
	CompleteTime    any   `json:"completeTime"`
	CreateTime      int64 `json:"createTime"`
	CreditsConsumed int64 `json:"creditsConsumed"`
}

// job answers recordInfo.
func (d *dialect) job(c *call) answer {
	return d.ask(c, true, func(o *operation, now time.Time) any { return d.described(c.sim, o, now) })
}

// described describes an operation. The caller holds mu.
func (d *dialect) described(s *Simulator, o *operation, now time.Time) unifiedJob {
	j := unifiedJob{
		TaskID: o.ID, Model: unifiedModel, State: unifiedState(o, now), Param: o.Param,
		CreateTime: o.Created.UnixMilli(), CreditsConsumed: s.state.charges[o.charge].Credits,
	}
	if !o.ended {
		return j
	}
	j.CompleteTime, j.CostTime = o.finish.UnixMilli(), o.finish.Sub(o.Created).Milliseconds()
	if o.Fate != succeeds {
		why := d.failure(o)
		j.FailCode, j.FailMsg = strconv.Itoa(why.code), why.message
		return j
	}
	j.ResultJSON = string(encode(map[string]any{"data": d.songs(s, o, now)}))
	return j
}

func unifiedState(o *operation, now time.Time) string {
	switch {
	case o.ended && o.Fate == succeeds:
		return "success"
	case o.ended:
		return "fail"
	case o.source != sourceDone:
		return "waiting"
	case now.Before(o.reached(queueShare)):
		return "queuing"
	}
	return "generating"
}

// tooOften limits recordInfo per account. The caller holds mu.
func (c *call) tooOften(o *operation, unified bool, now time.Time) bool {
	asked, most := &o.polls, recordPolls
	if unified {
		asked, most = c.windowOf("recordInfo"), unifiedPolls
	}
	if asked.admit(now, most, pollSpan) {
		return false
	}
	c.sim.conduct.OverLimit++
	return true
}
