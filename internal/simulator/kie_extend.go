package simulator

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// songTypes are the fields of upload-extend and their JSON types.
var songTypes = map[string]string{
	"uploadUrl": "string", "defaultParamFlag": "boolean", "instrumental": "boolean", "prompt": "string", "style": "string",
	"title": "string", "continueAt": "number", "model": "string", "negativeTags": "string", "callBackUrl": "string",
	"vocalGender": "string", "styleWeight": "number", "weirdnessConstraint": "number", "audioWeight": "number",
	"personaId": "string", "personaModel": "string",
}

func songFieldNames() []string { return slices.Sorted(maps.Keys(songTypes)) }

// songForm reads a request for a continuation, whichever route it came over.
type songForm struct {
	*call
	dialect *dialect
	// names are the fields' names on this route, where they are others.
	names map[string]string
}

func (f songForm) named(field string) string {
	if name := f.names[field]; name != "" {
		return name
	}
	return field
}

func (f songForm) given(field string) bool {
	v := f.body[f.named(field)]
	return v != nil && v != ""
}

func (f songForm) words(field string) string {
	text, _ := f.text(f.named(field))
	return text
}

func (f songForm) switched(field string) bool {
	on, _ := f.body[f.named(field)].(bool)
	return on
}

// extend is the paid request of the older route.
func (d *dialect) extend(c *call) answer {
	f := songForm{call: c, dialect: d}
	if refused := f.check(f.required()); refused != nil {
		return *refused
	}
	if _, refused := c.audio("callBackUrl"); refused != nil {
		return *refused
	}
	return f.submit(d, &operation{})
}

// required lists what this request needs. In default mode the documents say
// both "only uploadUrl" and "only uploadUrl and prompt"; the latter is Apikley's
// guide, so there the seed decides.
func (f songForm) required() []string {
	needed := slices.Clone(f.dialect.required)
	custom, instrumental := f.switched("defaultParamFlag"), f.switched("instrumental")
	if custom {
		needed = append(needed, "style", "title")
	}
	wordless := f.dialect.name != "apikley" || f.sim.dice.pick("apikley/default mode needs a prompt", 0, 2) == 0
	if custom && !instrumental || !custom && !wordless {
		needed = append(needed, "prompt")
	}
	return needed
}

// check gives a refusal, or nil. All of them are free of charge.
func (f songForm) check(required []string) *answer {
	for _, field := range required {
		if !f.given(field) {
			refused := f.missing(f.named(field))
			return &refused
		}
	}
	for _, field := range songFieldNames() {
		v := f.body[f.named(field)]
		if kind := (generateField{Type: songTypes[field]}); v != nil && !kind.matches(v) {
			refused := f.bad(f.named(field) + " must be a " + kind.Type)
			return &refused
		}
	}
	limits, known := f.dialect.models[f.words("model")]
	if !known {
		refused := f.bad("model is not supported")
		return &refused
	}
	if detail := f.outOfRange(); detail != "" {
		refused := f.bad(detail)
		return &refused
	}
	return f.tooLong(limits)
}

// outOfRange says what is wrong with a number or a choice, or "".
func (f songForm) outOfRange() string {
	if at, given := f.body[f.named("continueAt")].(float64); given && at <= 0 {
		return f.named("continueAt") + " must be greater than 0"
	}
	if g := f.words("vocalGender"); g != "" && g != "m" && g != "f" {
		return f.named("vocalGender") + " must be m or f"
	}
	for _, field := range []string{"styleWeight", "weirdnessConstraint", "audioWeight"} {
		weight, _ := f.body[f.named(field)].(float64)
		hundredths := weight * 100
		if weight < 0 || weight > 1 || math.Abs(hundredths-math.Round(hundredths)) > 1e-6 {
			return f.named(field) + " must be between 0 and 1, with up to 2 decimals"
		}
	}
	return ""
}

func (f songForm) tooLong(limits modelLimits) *answer {
	for _, text := range []struct {
		field string
		most  int
	}{{"prompt", limits.prompt}, {"style", limits.style}, {"title", limits.title}} {
		if utf8.RuneCountInString(f.words(text.field)) <= text.most {
			continue
		}
		f.sim.count(func(n *Conduct) { n.BadRequests++ })
		detail := fmt.Sprintf("%s exceeds the maximum length of %d characters", f.named(text.field), text.most)
		refused := f.no(http.StatusRequestEntityTooLarge, detail)
		return &refused
	}
	return nil
}

// submit fills in an operation that passed the checks and accepts it.
func (f songForm) submit(d *dialect, o *operation) answer {
	address, refused := f.audio(f.named("uploadUrl"))
	if refused != nil {
		return *refused
	}
	if d.looks(f.sim) && !f.sim.opts.NoFetch && !f.sim.reachable(f.http.Context(), address) {
		f.sim.count(func(n *Conduct) { n.UnreachableAudio++ })
		return f.no(http.StatusUnavailableForLegalReasons, "")
	}
	f.countUnsung()
	o.Task, o.Tracks, o.AudioURL, o.Upstream = "upload_extend", 2, address, f.upstream()
	o.Model, o.Prompt, o.Title, o.Tags = f.words("model"), f.words("prompt"), f.words("title"), f.words("style")
	o.Callback, o.Base = f.words("callBackUrl"), f.base()
	if at, given := f.body[f.named("continueAt")].(float64); given {
		o.ContinueAt = &at
	}
	o.Param = cmp.Or(o.Param, string(encode(f.body)))
	if refused := f.accept(o, f.sim.opts.ExtendTime); refused != nil {
		return *refused
	}
	a := d.success(map[string]any{"taskId": o.ID})
	a.changed, a.operation = true, o.ID
	return a
}

// countUnsung counts what an instrumental in custom mode has no use for.
func (f songForm) countUnsung() {
	if !f.switched("defaultParamFlag") || !f.switched("instrumental") {
		return
	}
	f.sim.count(func(n *Conduct) {
		for _, field := range []string{"prompt", "vocalGender"} {
			if f.given(field) {
				n.IgnoredFields[f.name+" "+f.named(field)]++
			}
		}
	})
}

// looks says whether the dialect tries the audio's address before it accepts.
func (d *dialect) looks(s *Simulator) bool {
	if !d.early || s.opts.KIE.Unreachable != "" {
		return d.early && s.opts.KIE.Unreachable == "early"
	}
	return s.dice.pick(d.name+"/looks at the audio first", 0, 2) == 0
}

// reachable asks for an address and reads no more than the status.
func (s *Simulator) reachable(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return false
	}
	response, err := s.opts.HTTP.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}
