package simulator

import (
	"net/http"
	"strings"
	"time"
)

const (
	statusTooMany = http.StatusTooManyRequests
	// statusBlocked is what the protection in front of KIE's hosts answers.
	statusBlocked = http.StatusForbidden
)

// dialect is a member of KIE's family: the same paths and bodies, other numbers.
type dialect struct {
	name string
	// limits are those of its models, by name.
	models map[string]modelLimits
	// required are the fields that upload-extend cannot do without.
	required []string
	// codes translates the meaning of a refusal into the dialect's number, where
	// that is another than HTTP's.
	codes map[int]int
	// words are its texts for numbers; others are named as HTTP does.
	words map[int]string
	// credit is the path of the balance.
	credit string
	// staging says that it has a staging host, unified that it has KIE's newer
	// route, errors that there is a callback type for failures.
	staging, unified, errors bool
	// early says that it notices unreachable audio at once when the seed or the
	// options want it to: 451 is in its list of answers.
	early bool
}

// modelLimits are lengths in characters, and how long the uploaded audio may be.
type modelLimits struct {
	prompt, style, title int
	longest              time.Duration
	// upstream is the model's name in results.
	upstream string
}

const longestUpload = 8 * time.Minute

// The limits of the models, as Apikley's page has them.
var (
	modelV4      = modelLimits{3000, 200, 80, longestUpload, "chirp-v4"}
	modelV45     = modelLimits{5000, 1000, 100, longestUpload, "chirp-auk"}
	modelV45Plus = modelLimits{5000, 1000, 100, longestUpload, "chirp-bluejay"}
	modelV45All  = modelLimits{5000, 1000, 80, time.Minute, "chirp-auk-turbo"}
	modelV5      = modelLimits{5000, 1000, 100, longestUpload, "chirp-crow"}
	modelV55     = modelLimits{5000, 1000, 100, longestUpload, "chirp-fenix"}
	modelV6      = modelLimits{5000, 1000, 100, longestUpload, "chirp-hawk"}
	modelV6Mini  = modelLimits{5000, 1000, 100, longestUpload, "chirp-goose"}
	modelV6Wild  = modelLimits{5000, 1000, 100, longestUpload, "chirp-hawk-wild"}
)

var kieRequired = []string{"uploadUrl", "defaultParamFlag", "callBackUrl", "model", "instrumental", "continueAt"}

var kieWords = map[int]string{
	200: "success", 401: "You do not have access permissions", 402: "Insufficient Credits", 404: "Not Found",
	422: "Validation Error", 429: "Rate Limited", 451: "Failed to fetch the audio. Kindly verify any access limits set by you or your service provider.",
	455: "System is currently undergoing maintenance", 500: "Server Error",
}

// dialects are the three providers, by name.
var dialects = map[string]*dialect{
	"kie": {
		name: "kie", required: kieRequired, credit: "chat/credit", staging: true, unified: true, errors: true, early: true,
		models: map[string]modelLimits{
			"V4": modelV4, "V4_5": modelV45, "V4_5PLUS": modelV45Plus, "V4_5ALL": modelV45All, "V5": modelV5,
			"V5_5": modelV55, "V6": modelV6, "V6_MINI": modelV6Mini, "V6_WILD": modelV6Wild,
		},
		codes: map[int]int{http.StatusBadRequest: 422, http.StatusRequestEntityTooLarge: 422},
		words: kieWords,
	},
	"apikley": {
		name: "apikley", required: kieRequired, credit: "chat/credit", early: true,
		models: map[string]modelLimits{"V4": modelV4, "V4_5": modelV45, "V4_5PLUS": modelV45Plus, "V4_5ALL": modelV45All, "V5": modelV5},
		codes:  map[int]int{http.StatusBadRequest: 422, http.StatusRequestEntityTooLarge: 422},
		words:  kieWords,
	},
	// sunoapi.org gives old numbers new meanings: 429 is no credits, 430 and 405
	// are the limits, 413 is a text that is too long.
	"sunoapi": {
		name: "sunoapi", required: []string{"uploadUrl", "defaultParamFlag", "callBackUrl", "model"}, credit: "generate/credit", staging: true, errors: true,
		models: map[string]modelLimits{
			"V4": modelV4, "V4_5": modelV45, "V4_5PLUS": modelV45Plus, "V4_5ALL": modelV45All, "V5": modelV5, "V5_5": modelV55,
		},
		codes: map[int]int{http.StatusPaymentRequired: 429},
		words: map[int]string{
			200: "success", 400: "Invalid parameters", 401: "Unauthorized access", 404: "Invalid request method or path", 405: "Rate limit exceeded",
			413: "Theme or prompt too long", 429: "The current credits are insufficient. Please top up.",
			430: "Your call frequency is too high. Please try again later.", 455: "System maintenance", 500: "Server error",
		},
	},
}

// kie gives the endpoints of the whole family.
func kie() []endpoint {
	var all []endpoint
	for _, name := range []string{"kie", "apikley", "sunoapi"} {
		all = append(all, dialects[name].endpoints()...)
	}
	return all
}

func (d *dialect) endpoints() []endpoint {
	api := "/" + d.name + "/api/v1/"
	all := []endpoint{
		{name: d.name + ".extend", pattern: "POST " + api + "generate/upload-extend", class: paid | calls | songs, handle: d.extend, fields: songFieldNames()},
		{name: d.name + ".record", pattern: "GET " + api + "generate/record-info", class: status, handle: d.record},
		{name: d.name + ".credit", pattern: "GET " + api + d.credit, class: reads | purse, handle: d.balance},
	}
	if d.unified {
		all = append(all,
			endpoint{name: d.name + ".create", pattern: "POST " + api + "jobs/createTask", class: paid | calls | songs, handle: d.create, fields: []string{"model", "callBackUrl", "input"}},
			endpoint{name: d.name + ".job", pattern: "GET " + api + "jobs/recordInfo", class: status, handle: d.job})
	}
	for i := range all {
		all[i].refuse = d.refuse
	}
	if d.staging {
		all = append(all, d.stagingEndpoints()...)
	}
	for i := range all {
		all[i].key = bearer
	}
	return all
}

// routeKIE adds what is no endpoint: staged files, and paths that lead nowhere.
func (s *Simulator) routeKIE() {
	for _, d := range dialects {
		s.mux.HandleFunc("/"+d.name+"/", func(w http.ResponseWriter, _ *http.Request) {
			s.count(func(n *Conduct) { n.Requests++; n.UnknownPaths++ })
			write(w, d.refuse(s, refusal{status: http.StatusNotFound}))
		})
		if d.staging {
			s.mux.HandleFunc("GET /"+d.name+"-staging/files/{path...}", s.serveStaged)
		}
		s.classes[d.name+".callback"] = callback
		s.announcers[d.name] = d.announcer()
	}
}

// envelope is what every answer of the family comes in.
type envelope struct {
	Code int    `json:"code"`
	Msg  string `json:"msg"`
	Data any    `json:"data,omitempty"`
}

// code gives the dialect's number for a refusal.
func (d *dialect) code(s *Simulator, meaning int) int {
	if d.name == "sunoapi" && meaning == statusTooMany {
		// Two limits are documented and not told apart.
		return []int{430, 405}[s.dice.pick("sunoapi/limit", 0, 2)]
	}
	if code := d.codes[meaning]; code != 0 {
		return code
	}
	return meaning
}

func (d *dialect) word(code int) string {
	if word := d.words[code]; word != "" {
		return word
	}
	return http.StatusText(code)
}

// inBody says whether refusals come as HTTP 200. Reports from users disagree.
func (d *dialect) inBody(s *Simulator) bool {
	if s.opts.KIE.Errors != "" {
		return s.opts.KIE.Errors == "body"
	}
	return d.name == "sunoapi" || s.dice.pick(d.name+"/errors in the body", 0, 2) == 0
}

// refuse words an error. Whether there is a "data" in it depends on the seed.
func (d *dialect) refuse(s *Simulator, why refusal) answer {
	code := d.code(s, why.status)
	said := envelope{Code: code, Msg: why.detail}
	if said.Msg == "" {
		said.Msg = d.word(code)
	}
	if s.dice.pick(d.name+"/data of errors", 0, 2) == 0 {
		said.Data = (*struct{})(nil) // written as null
	}
	if d.inBody(s) {
		return answerJSON(http.StatusOK, said)
	}
	return answerJSON(code, said)
}

func (d *dialect) success(data any) answer {
	return answerJSON(http.StatusOK, envelope{http.StatusOK, d.word(http.StatusOK), data})
}

func (d *dialect) balance(c *call) answer {
	s := c.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(s.now())
	return d.success(s.state.accounts[c.account].Credits)
}

// robots begin the User-Agent of programs that the protection in front of KIE's
// hosts turns away. Only staging hosts ask: whether the API does seems to
// change, and a client that names itself properly never finds out.
var robots = []string{"Go-http-client/", "python-requests/", "Python-urllib/", "Python/", "python-httpx/", "aiohttp/"}

// turnedAway answers a client that looks like a robot. The answer looks like a
// refusal of the key, and is none.
func turnedAway(s *Simulator, w http.ResponseWriter, r *http.Request) bool {
	agent := r.UserAgent()
	robot := agent == ""
	for _, name := range robots {
		robot = robot || strings.HasPrefix(agent, name)
	}
	if !robot {
		return false
	}
	s.count(func(n *Conduct) { n.Requests++; n.BlockedAgents++ })
	http.Error(w, "error code: 1010", statusBlocked)
	return true
}
