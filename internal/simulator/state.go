package simulator

import (
	"container/heap"
	"slices"
	"time"
)

// fate is how an operation ends, decided when it is accepted and possibly
// turned into a failure by what its audio proves to be.
type fate string

const (
	succeeds fate = "success"
	fails    fate = "failed"
	expires  fate = "timeout"
)

// sourceState is how far the provider's own download of the audio is.
type sourceState uint8

const (
	sourceDone sourceState = iota // also: nothing to download
	sourceWaiting
	sourceFetching
)

// account is one customer of a provider.
type account struct {
	Name    string `json:"name"`
	Credits int64  `json:"credits"`
	// charges are indexes into state.charges, in order of time.
	charges []int
	// behind is until when the lists miss some of them.
	behind time.Time
}

// session is a batch upload session, bound to one upstream account.
type session struct {
	ID       string    `json:"id"`
	Account  string    `json:"account"`
	Upstream int       `json:"upstream"`
	Created  time.Time `json:"created"`
	// ids is the inside of the JSON array audioIds. It is only ever appended
	// to, so a slice of it taken under the lock stays valid outside.
	ids     []byte
	members []*operation
	// listed is how many of the members an answer has shown to the client.
	listed   int
	lastPoll time.Time
}

// playlist binds clips of one upstream account together.
type playlist struct {
	ID       string `json:"id"`
	Account  string `json:"account"`
	Upstream int    `json:"upstream"`
}

// operation is one accepted request for work. What is exported is written to
// the journal; the rest follows from it or from later events.
type operation struct {
	ID       string `json:"id"`
	Provider string `json:"provider"`
	Account  string `json:"account"`
	Upstream int    `json:"upstream"`
	Session  string `json:"session,omitempty"`
	// Task is the kind of generation; empty for an upload.
	Task     string        `json:"task,omitempty"`
	Created  time.Time     `json:"created"`
	Took     time.Duration `json:"took"`
	Fate     fate          `json:"fate"`
	FailCode int           `json:"failCode,omitempty"`
	Reason   string        `json:"reason,omitempty"`
	AudioURL string        `json:"audioUrl,omitempty"`
	// ContinueAt is where a continuation begins; nil is the end of the source.
	ContinueAt *float64 `json:"continueAt,omitempty"`
	Title      string   `json:"title,omitempty"`
	Tags       string   `json:"tags,omitempty"`
	Model      string   `json:"model,omitempty"`
	Prompt     string   `json:"prompt,omitempty"`
	// Param is the request as the client sent it, for providers that show it.
	Param string `json:"param,omitempty"`
	// Unified marks what came over KIE's newer route: the older one does not
	// know it.
	Unified bool `json:"unified,omitempty"`
	// Vanished marks results that a fault takes away once they are there.
	Vanished bool `json:"vanished,omitempty"`
	// Tracks is how many clips a success has.
	Tracks int `json:"tracks"`
	// SHA256 and Length describe the source audio, when it is known.
	SHA256 string        `json:"sha256,omitempty"`
	Length time.Duration `json:"length,omitempty"`
	// Callback is where the client wants to be told how it goes, and Base what
	// the addresses in what it is told begin with.
	Callback string `json:"callback,omitempty"`
	Base     string `json:"base,omitempty"`

	source     sourceState
	finish     time.Time // valid once source is sourceDone
	ended      bool
	charge     int // index into state.charges
	seen       time.Time
	downloaded [2]bool
	attempts   [2]int
	lastPoll   time.Time
	called     []string // the announcements that are over
	deaf       bool     // the last of them could not be delivered
	polls      window
}

// clip names the i-th clip of an operation.
func (o *operation) clip(i int) string {
	return derive(o.ID, "clip/"+string(rune('0'+i)))
}

// clipRef says which operation made a clip.
type clipRef struct {
	made  *operation
	index int
}

// state is everything a provider would keep in its database.
type state struct {
	accounts   map[string]*account
	sessions   map[string]*session
	playlists  map[string]*playlist
	uploads    map[string]*upload
	uploaded   map[string]*upload // by the clip that was made of it
	operations map[string]*operation
	clips      map[string]clipRef
	charges    []Charge
	due        dueHeap
	made       uint64 // ids drawn so far
	// staged are the files on staging hosts, by path; see stagedFile.
	staged map[string]*stagedFile
	// running counts operations without an end, by provider and account, and
	// windows remembers when an account asked for what.
	running map[string]int
	windows map[string]*window
}

func newState() *state {
	return &state{
		accounts: map[string]*account{}, sessions: map[string]*session{}, playlists: map[string]*playlist{},
		uploads: map[string]*upload{}, uploaded: map[string]*upload{},
		operations: map[string]*operation{}, clips: map[string]clipRef{}, staged: map[string]*stagedFile{},
		running: map[string]int{}, windows: map[string]*window{},
	}
}

// advance ends every operation whose time has come, in that order. Between
// requests nothing runs: a waiting operation is one entry of a heap. It
// returns the operations that ended without success.
func (st *state) advance(now time.Time) []*operation {
	var lost []*operation
	for len(st.due) > 0 && !st.due[0].finish.After(now) {
		o := st.due[0]
		heap.Pop(&st.due)
		o.ended = true
		st.running[o.Provider+"/"+o.Account]--
		if o.Fate != succeeds {
			lost = append(lost, o)
			continue
		}
		if in := st.sessions[o.Session]; in != nil {
			in.add(o)
		}
	}
	return lost
}

// entries are the charges that the account's lists hold at a time, as indexes.
func (st *state) entries(a *account, now time.Time) []int {
	if !a.behind.After(now) {
		return a.charges
	}
	return slices.DeleteFunc(slices.Clone(a.charges), func(i int) bool { return st.charges[i].Listed.After(now) })
}

func (se *session) add(o *operation) {
	if len(se.ids) > 0 {
		se.ids = append(se.ids, ',')
	}
	se.ids = append(se.ids, '"')
	se.ids = append(se.ids, o.clip(0)...)
	se.ids = append(se.ids, '"')
	se.members = append(se.members, o)
}

// dueHeap orders operations by their end, and equal ones by acceptance.
type dueHeap []*operation

func (h dueHeap) Len() int      { return len(h) }
func (h dueHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h dueHeap) Less(i, j int) bool {
	if h[i].finish.Equal(h[j].finish) {
		return h[i].charge < h[j].charge
	}
	return h[i].finish.Before(h[j].finish)
}

// Push implements heap.Interface.
func (h *dueHeap) Push(x any) {
	if o, is := x.(*operation); is {
		*h = append(*h, o)
	}
}

// Pop implements heap.Interface.
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	o := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return o
}
