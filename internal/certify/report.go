package certify

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Report is the result of a run.
type Report struct {
	System   string   `json:"system"`
	Provider string   `json:"provider"`
	Evidence Evidence `json:"evidence"`
	Seed     uint64   `json:"seed"`
	Workers  int      `json:"workers"`
	Seconds  float64  `json:"seconds"`

	Kills int `json:"kills"`
	// KillsInFlight hit a worker with a paid request on its way; RequestsInFlight are
	// those requests.
	KillsInFlight    int `json:"killsInFlight"`
	RequestsInFlight int `json:"requestsInFlight"`

	// Rescue is from a kill to the moment when somebody took the dead worker's item.
	Rescue Spread `json:"rescueSeconds"`
	// Doubt is from a kill to the moment when the outcome of the paid request was
	// known, or the item was held; Doubts counts them by what settled it.
	Doubt  Spread         `json:"doubtSeconds"`
	Doubts map[string]int `json:"doubts"`

	// AtRest is how it stood when nothing moved any more, and Held what was left to a
	// person then.
	AtRest Judgement `json:"atRest"`
	// Resolutions are the decisions about held items, and Final is how it stood after
	// them: AtRest where there were none.
	Resolutions Resolutions `json:"resolutions"`
	Final       Judgement   `json:"final"`
	// Breaches are those of both judgements: empty is a pass.
	Breaches []Breach `json:"breaches"`
}

// Resolutions are an operator's decisions about held items.
type Resolutions struct {
	// Adopted items go on with the operation that the provider's log names,
	// Resubmitted ones were not in the log and are sent again.
	Adopted     int `json:"adopted"`
	Resubmitted int `json:"resubmitted"`
}

// Pass says that no promise was broken.
func (r *Report) Pass() bool { return len(r.Breaches) == 0 }

// report puts together what the run came to.
func (r *run) report(took time.Duration) *Report {
	o, t := r.Options, r.tally
	out := &Report{
		System: r.system.Name(), Provider: o.Provider, Evidence: o.Evidence, Seed: o.Seed, Workers: o.Workers, Seconds: took.Seconds(),
		Kills: t.done, KillsInFlight: t.busy, RequestsInFlight: t.requests,
		Rescue: spread(t.rescues), Doubt: spread(t.doubts), Doubts: t.ways,
		AtRest: *r.atRest, Resolutions: r.resolutions, Final: *r.final, Breaches: []Breach{},
	}
	for _, b := range slices.Concat(r.atRest.Breaches, r.final.Breaches) {
		if !slices.Contains(out.Breaches, b) {
			out.Breaches = append(out.Breaches, b)
		}
	}
	return out
}

// row is one line of the table.
type row struct {
	name  string
	value func(*Report) string
}

// rows are the lines of the table, in order.
var rows = []row{
	{"provider", func(r *Report) string { return r.Provider }},
	{"evidence", func(r *Report) string { return string(r.Evidence) }},
	{"workers killed (SIGKILL)", func(r *Report) string { return strconv.Itoa(r.Kills) }},
	{"  with a paid request on its way", func(r *Report) string { return fmt.Sprintf("%d (%d requests)", r.KillsInFlight, r.RequestsInFlight) }},
	{"paid submissions", func(r *Report) string { return strconv.Itoa(r.Final.Charges) }},
	{"  extra charges", func(r *Report) string { return strconv.Itoa(r.Final.Extra) }},
	{"  lost results", func(r *Report) string { return strconv.Itoa(r.Final.Lost) }},
	{"items", func(r *Report) string { return strconv.Itoa(r.Final.Items) }},
	{"  succeeded", func(r *Report) string { return strconv.Itoa(r.Final.Succeeded) }},
	{"  failed", func(r *Report) string { return strconv.Itoa(total(r.Final.Failed)) }},
	{"held for a person", func(r *Report) string { return strconv.Itoa(len(r.AtRest.Held)) }},
	{"  charged, by the provider's log", func(r *Report) string { return strconv.Itoa(r.AtRest.heldCharged()) }},
	{"  then resolved: adopted / sent again", func(r *Report) string {
		return fmt.Sprintf("%d / %d", r.Resolutions.Adopted, r.Resolutions.Resubmitted)
	}},
	{"sessions", func(r *Report) string { return strconv.Itoa(r.Final.Sessions) }},
	{"  every item ended", func(r *Report) string { return strconv.Itoa(r.Final.Completed) }},
	{"  completion took effect exactly once", func(r *Report) string { return strconv.Itoa(r.Final.Once) }},
	{"rescue p50 / p99 / max", func(r *Report) string { return r.Rescue.String() }},
	{"doubt settled p50 / p99 / max", func(r *Report) string { return r.Doubt.String() }},
	{"  adopted / not accepted / held", func(r *Report) string {
		return fmt.Sprintf("%d / %d / %d", r.Doubts[Adopted], r.Doubts[NotAccepted], r.Doubts[LeftHeld])
	}},
	{"time", func(r *Report) string { return (time.Duration(r.Seconds) * time.Second).String() }},
	{"seed", func(r *Report) string { return strconv.FormatUint(r.Seed, 10) }},
}

func (j *Judgement) heldCharged() int {
	n := 0
	for _, h := range j.Held {
		if h.Charged {
			n++
		}
	}
	return n
}

func total(counts map[string]int) int {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return sum
}

// String is a spread for people.
func (s Spread) String() string {
	if s.Count == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f / %.1f / %.1f s", s.P50, s.P99, s.Max)
}

// most is how many lines of a list are written out.
const most = 8

// Write prints reports for people: a table with a column for each, then the lists.
func Write(w io.Writer, reports ...*Report) {
	cells := make([]string, len(reports))
	line := func(name string, value func(*Report) string) {
		for n, r := range reports {
			cells[n] = fmt.Sprintf("%-26s", value(r))
		}
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-38s  %s", name, strings.Join(cells, "  ")), " "))
	}
	line("", func(r *Report) string { return r.System })
	for _, row := range rows {
		line(row.name, row.value)
	}
	for _, r := range reports {
		fmt.Fprintf(w, "\n%s:\n", r.System)
		r.writeLists(w)
	}
}

func (r *Report) writeLists(w io.Writer) {
	failed := slices.SortedFunc(maps.Keys(r.Final.Failed), func(a, b string) int {
		return cmp.Or(r.Final.Failed[b]-r.Final.Failed[a], cmp.Compare(a, b))
	})
	writeList(w, "failed", failed, func(reason string) string { return fmt.Sprintf("%d  %s", r.Final.Failed[reason], reason) })
	writeList(w, "held, and what the provider's log says", r.AtRest.Held, func(h Held) string {
		log := "not charged"
		if h.Charged {
			log = "charged as " + h.Operation
		}
		return fmt.Sprintf("%s at %s: %s (%s)", h.Item, h.Step, h.Reason, log)
	})
	if r.Pass() {
		fmt.Fprintln(w, "  pass: every promise was kept")
		return
	}
	writeList(w, "broken promises", r.Breaches, func(b Breach) string { return b.Promise + ": " + b.Finding })
}

// writeList writes the first entries of a list, and how many there are.
func writeList[T any](w io.Writer, name string, entries []T, say func(T) string) {
	if len(entries) == 0 {
		return
	}
	fmt.Fprintf(w, "  %s (%d):\n", name, len(entries))
	for _, entry := range entries[:min(most, len(entries))] {
		fmt.Fprintf(w, "    %s\n", say(entry))
	}
	if len(entries) > most {
		fmt.Fprintf(w, "    … and %d more (--json has all)\n", len(entries)-most)
	}
}
