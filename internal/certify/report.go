package certify

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
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
type row struct{ name, value string }

// Rows are the lines of the table, in order.
func (r *Report) rows() []row {
	number := strconv.Itoa
	charged := 0
	for _, h := range r.AtRest.Held {
		if h.Charged {
			charged++
		}
	}
	rows := []row{
		{"provider, evidence", r.Provider + ", " + string(r.Evidence)},
		{"workers killed (SIGKILL)", number(r.Kills)},
		{"  with a paid request on its way", fmt.Sprintf("%d (%d requests)", r.KillsInFlight, r.RequestsInFlight)},
		{"paid submissions", number(r.Final.Charges)},
		{"  charged a second time", number(r.Final.Extra)},
		{"  paid, and lost", number(r.Final.Lost)},
		{"items", number(r.Final.Items)},
		{"  succeeded", number(r.Final.Succeeded)},
		{"  failed", number(total(r.Final.Failed))},
		{"  held for a person", fmt.Sprintf("%d (%d charged, %d not)", len(r.AtRest.Held), charged, len(r.AtRest.Held)-charged)},
		{"  resolved from the provider's log", fmt.Sprintf("%d (%d adopted, %d sent again)", r.Resolutions.Adopted+r.Resolutions.Resubmitted, r.Resolutions.Adopted, r.Resolutions.Resubmitted)},
		{"sessions", number(r.Final.Sessions)},
		{"  complete", number(r.Final.Completed)},
		{"  completion took effect once", number(r.Final.Once)},
		{"rescue p50 / p99 / max", r.Rescue.String()},
		{"doubt settled p50 / p99 / max", r.Doubt.String()},
	}
	for _, how := range slices.Sorted(maps.Keys(r.Doubts)) {
		rows = append(rows, row{"  " + how, number(r.Doubts[how])})
	}
	return append(rows,
		row{"time", (time.Duration(r.Seconds) * time.Second).String()},
		row{"seed", strconv.FormatUint(r.Seed, 10)})
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
	return fmt.Sprintf("%.1f / %.1f / %.1f s (%d)", s.P50, s.P99, s.Max, s.Count)
}

// most is how many lines of a list are written out.
const most = 20

// Write prints the report for people.
func (r *Report) Write(w io.Writer) {
	fmt.Fprintf(w, "%-36s  %s\n", "", r.System)
	for _, row := range r.rows() {
		fmt.Fprintf(w, "%-36s  %s\n", row.name, row.value)
	}
	r.writeFailed(w)
	r.writeHeld(w)
	if r.Pass() {
		fmt.Fprintln(w, "\npass: every promise was kept")
		return
	}
	fmt.Fprintf(w, "\n%d broken:\n", len(r.Breaches))
	for _, b := range r.Breaches[:min(most, len(r.Breaches))] {
		fmt.Fprintf(w, "  %s: %s\n", b.Promise, b.Finding)
	}
	writeRest(w, len(r.Breaches))
}

func (r *Report) writeFailed(w io.Writer) {
	reasons := slices.SortedFunc(maps.Keys(r.Final.Failed), func(a, b string) int {
		return cmp.Or(r.Final.Failed[b]-r.Final.Failed[a], cmp.Compare(a, b))
	})
	if len(reasons) > 0 {
		fmt.Fprintln(w, "\nfailed:")
	}
	for _, reason := range reasons[:min(most, len(reasons))] {
		fmt.Fprintf(w, "  %5d  %s\n", r.Final.Failed[reason], reason)
	}
	writeRest(w, len(reasons))
}

func (r *Report) writeHeld(w io.Writer) {
	if len(r.AtRest.Held) == 0 {
		return
	}
	fmt.Fprintln(w, "\nheld, and what the provider's log says:")
	for _, h := range r.AtRest.Held[:min(most, len(r.AtRest.Held))] {
		log := "not charged"
		if h.Charged {
			log = "charged as " + h.Operation
		}
		fmt.Fprintf(w, "  %s at %s: %s (%s)\n", h.Item, h.Step, h.Reason, log)
	}
	writeRest(w, len(r.AtRest.Held))
}

func writeRest(w io.Writer, n int) {
	if n > most {
		fmt.Fprintf(w, "  … and %d more (--json has all)\n", n-most)
	}
}
