package simulator

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// Submission is one request to a paid endpoint, whatever became of it: what the
// provider saw of its client, which the client's own records cannot show.
type Submission struct {
	// Seq counts from 1, in the order in which requests were decided about, as
	// closely as that can be told of concurrent ones.
	Seq int `json:"seq"`
	// Arrived is when the request was there, Time when it was accepted or refused:
	// they differ by what it takes to read the body, and to look at the audio.
	Arrived  time.Time `json:"arrived"`
	Time     time.Time `json:"time"`
	Provider string    `json:"provider"`
	Endpoint string    `json:"endpoint"`
	// Account is the account's name; empty when no account has the key.
	Account string `json:"account,omitempty"`
	// Outcome is 200 for an accepted request, else what the refusal means in the
	// numbers of HTTP, however the provider words it: 429 beyond a limit, 455, 402.
	// It is 0 for a connection that was closed without a word, and without effect.
	Outcome int `json:"outcome"`
	// Fault is the kind that refused the request or spoiled its answer; empty when
	// it was dealt with as it deserved.
	Fault Kind `json:"fault,omitempty"`
	// Operation is what an accepted request started, and Ended when that ended, on
	// the provider's side; zero while it runs.
	Operation string    `json:"operation,omitempty"`
	Ended     time.Time `json:"ended,omitzero"`
	// Marker says which of the client's jobs the request is part of: its title, or
	// else the provider's session. At most 200 bytes of it are kept.
	Marker string `json:"marker,omitempty"`
}

// Beyond says that a limit of the provider's refused the request, not a fault.
func (s *Submission) Beyond() bool { return s.Outcome == statusTooMany && s.Fault == "" }

const (
	// keptSubmissions bounds the memory of the log to some 30 MB.
	keptSubmissions = 1 << 17
	maxMarker       = 200
)

// submission is an entry of the log. When its operation ended is the operation's
// to know.
type submission struct {
	Submission
	started *operation
}

// traffic is the log of submissions since the start or the last reset. It is not
// in the journal. Simulator.mu guards it.
type traffic struct {
	// kept is a ring once it is full, in which the entry Seq is at Seq-1.
	kept []submission
	most int // how many are kept
	seen int
	// peak is the most operations that ran at once, by provider and account. It
	// only rises in the moment of an acceptance.
	peak map[string]int
}

func newTraffic(most int) traffic { return traffic{most: most, peak: map[string]int{}} }

func (t *traffic) add(one submission) {
	t.seen++
	one.Seq = t.seen
	if len(t.kept) < t.most {
		t.kept = append(t.kept, one)
		return
	}
	t.kept[(one.Seq-1)%t.most] = one
}

// after copies the entries beyond a sequence number, at most some of them.
func (t *traffic) after(seq, most int) []Submission {
	first := max(seq, t.seen-len(t.kept)) + 1
	var all []Submission
	for n := first; n <= t.seen && len(all) < most; n++ {
		all = append(all, t.kept[(n-1)%t.most].public())
	}
	return all
}

func (s *submission) public() Submission {
	if s.started != nil && s.started.ended {
		s.Ended = s.started.finish
	}
	return s.Submission
}

// accepted notes the moment and the crowd. The caller holds mu.
func (c *call) accepted(o *operation) {
	c.started = o
	peak := c.sim.traffic.peak
	at := o.Provider + "/" + o.Account
	peak[at] = max(peak[at], c.sim.state.running[at])
}

// submitted writes a request to a paid endpoint into the log, before the client is
// answered.
func (c *call) submitted(body []byte, a answer, spoiled Kind) {
	one := Submission{
		Arrived: c.arrived, Time: c.decided, Provider: c.provider(), Endpoint: c.name, Account: cmp.Or(c.account, c.caller),
		Outcome: cmp.Or(c.refused, a.status), Fault: cmp.Or(c.struck, spoiled), Operation: a.operation, Marker: c.marker(body),
	}
	if a.operation != "" {
		one.Outcome = http.StatusOK
	}
	c.sim.mu.Lock()
	defer c.sim.mu.Unlock()
	if one.Time.IsZero() {
		one.Time = c.sim.now()
	}
	c.sim.traffic.add(submission{one, c.started})
}

// marker reads the body of a request that was refused before anybody looked at it,
// too.
func (c *call) marker(body []byte) string {
	fields := c.body
	if fields == nil {
		_ = json.Unmarshal(body, &fields) // what is no object has no marker
	}
	if input, nested := fields["input"].(map[string]any); nested {
		fields = input
	}
	title, _ := fields["title"].(string)
	session, _ := fields["sessionId"].(string)
	text := cmp.Or(title, session)
	// A copy, lest a short marker keep a long text in memory.
	return strings.Clone(strings.ToValidUTF8(text[:min(len(text), maxMarker)], ""))
}

// caller names the account of a request's key, without a judgement of it. The
// caller of caller holds mu.
func (s *Simulator) caller(key string) string {
	if name, known := s.names[key]; known {
		return name
	}
	given, known := s.opts.Keys[key]
	if key == "" || !known && (len(s.opts.Keys) > 0 || strings.HasPrefix(key, "wrong")) {
		return ""
	}
	return given.nameFor(key)
}

// Submissions gives the log of submissions beyond a sequence number (0 for all of
// it), oldest first. Of very many only the latest are known; see Traffic.Forgotten.
func (s *Simulator) Submissions(after int) []Submission {
	return s.submissions(after, keptSubmissions)
}

func (s *Simulator) submissions(after, most int) []Submission {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(s.now())
	return s.traffic.after(after, most)
}

// submissionsPage is how many submissions one answer of the control API holds.
const submissionsPage = 10_000

func (s *Simulator) getSubmissions(w http.ResponseWriter, r *http.Request) {
	after, err := sequence(r)
	if err != nil {
		writeError(w, err)
		return
	}
	write(w, answerJSON(http.StatusOK, append([]Submission{}, s.submissions(after, submissionsPage)...)))
}

// sequence reads the parameter after; absent, it is 0.
func sequence(r *http.Request) (int, error) {
	text := r.URL.Query().Get("after")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fault.New(fault.Invalid, "simulator.control", errors.New("after must be a sequence number"))
	}
	return n, nil
}

// byTime orders submissions by when they were decided about.
func byTime(all []Submission) {
	slices.SortStableFunc(all, func(a, b Submission) int { return a.Time.Compare(b.Time) })
}
