package certify

import (
	"fmt"
	"slices"
	"time"
)

// job is one thing that may be paid for once: a song at an endpoint.
type job struct{ audio, endpoint string }

// Judge holds what a system says against the truth.
func Judge(t *Truth, sessions []Session) *Judgement {
	j := &judge{Truth: t, charges: map[job][]string{}, known: map[string]bool{}, out: &Judgement{
		Sessions: len(t.Batches), Charges: len(t.Charges), Held: []Held{}, Failed: map[string]int{}, Breaches: []Breach{},
	}}
	j.readLog()
	seen := map[string]bool{}
	for n := range sessions {
		batch, ours := t.Batches[sessions[n].ID]
		if !ours || seen[sessions[n].ID] {
			j.breach(nothingLost, "session %s was not submitted, or is listed twice", sessions[n].ID)
			continue
		}
		seen[sessions[n].ID] = true
		j.session(&sessions[n], batch)
	}
	for id := range t.Batches {
		if !seen[id] {
			j.breach(nothingLost, "session %s is gone", id)
		}
	}
	slices.SortStableFunc(j.out.Breaches, func(a, b Breach) int {
		return slices.Compare([]string{a.Promise, a.Finding}, []string{b.Promise, b.Finding})
	})
	return j.out
}

type judge struct {
	*Truth
	charges map[job][]string // operations, in order
	known   map[string]bool  // operations that were charged
	times   map[job]time.Time
	credits map[string]float64 // by song
	out     *Judgement
}

func (j *judge) breach(promise, format string, args ...any) {
	j.out.Breaches = append(j.out.Breaches, Breach{promise, fmt.Sprintf(format, args...)})
}

// readLog sorts the charges by job. A charge for something that nobody submitted
// is lost money, too.
func (j *judge) readLog() {
	j.times, j.credits = map[job]time.Time{}, map[string]float64{}
	submitted := map[string]bool{}
	for _, batch := range j.Batches {
		for _, song := range batch.Songs {
			submitted[song.SHA256] = true
		}
	}
	for n := range j.Charges {
		c := &j.Charges[n]
		if !submitted[c.AudioSHA256] {
			j.out.Lost++
			j.breach(nothingLost, "charge %d (operation %s) is for audio that was not submitted", c.Seq, c.OperationID)
			continue
		}
		of := job{c.AudioSHA256, c.Endpoint}
		j.charges[of] = append(j.charges[of], c.OperationID)
		j.times[of] = c.Time
		if !c.Refunded {
			j.credits[c.AudioSHA256] += float64(c.Credits)
		}
		j.known[c.OperationID] = true
	}
	for of, operations := range j.charges {
		if extra := len(operations) - 1; extra > 0 {
			j.out.Extra += extra
			j.breach(paidOnce, "%s was charged %d times for one song: operations %v", of.endpoint, len(operations), operations)
		}
	}
}

func (j *judge) session(s *Session, batch Batch) {
	if len(s.Items) != len(batch.Songs) {
		j.breach(nothingLost, "session %s has %d items, %d were submitted", s.ID, len(s.Items), len(batch.Songs))
		return
	}
	over, rests := true, true
	expected := []string{}
	for n := range s.Items {
		it := &s.Items[n]
		j.item(it, batch.Songs[n])
		over = over && it.ended()
		rests = rests && (it.ended() || it.State == "held")
		if it.State == "succeeded" {
			expected = append(expected, j.clipsOf(batch.Songs[n], batch.Last)...)
		}
	}
	if !rests {
		j.breach(allOver, "session %s is not over", s.ID)
	}
	if !slices.Equal(s.AudioIDs, expected) {
		j.breach(inOrder, "session %s: audioIds differ from what the provider made of the songs, in their order: %s", s.ID, difference(s.AudioIDs, expected))
	}
	j.effect(s, batch, over, expected)
	if over {
		j.spent(s, batch)
	}
}

// spent holds the session's own account to what the provider took and kept.
func (j *judge) spent(s *Session, batch Batch) {
	var charged float64
	for _, song := range batch.Songs {
		charged += j.credits[song.SHA256]
	}
	if s.Spent != nil && *s.Spent != charged {
		j.breach(addsUp, "session %s says that it cost %g credits, and was charged %g", s.ID, *s.Spent, charged)
	}
}

// difference says where two lists part.
func difference(got, want []string) string {
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	name := func(list []string) string {
		if at < len(list) {
			return list[at]
		}
		return "nothing"
	}
	return fmt.Sprintf("%d of %d; number %d is %s, want %s", len(got), len(want), at, name(got), name(want))
}

// clipsOf are the clips that the provider made of a song.
func (j *judge) clipsOf(song Song, step string) []string {
	operations := j.charges[job{song.SHA256, j.Paid[step]}]
	if len(operations) == 0 {
		return nil
	}
	return j.Made[operations[len(operations)-1]]
}

func (j *judge) item(it *Item, song Song) {
	j.out.Items++
	switch it.State {
	case "succeeded":
		j.out.Succeeded++
	case "failed", "canceled":
		if it.Reason == "" {
			j.breach(explained, "item %s has %s without a reason", it.ID, it.State)
		}
		j.out.Failed[it.Step+": "+it.Reason]++
	case "held":
		j.held(it, song)
	}
	for _, operation := range it.Operations {
		if !j.known[operation] {
			j.breach(nothingLost, "item %s has operation %s on record, which the provider never charged", it.ID, operation)
		}
	}
	for step, endpoint := range j.Paid {
		charged := j.charges[job{song.SHA256, endpoint}]
		linked := slices.ContainsFunc(charged, func(operation string) bool { return it.has(operation, j.Made[operation]) })
		if len(charged) > 0 && !linked && (!it.open() || it.Step != step) {
			j.out.Lost++
			j.breach(nothingLost, "item %s is %s at %s, and its %s was charged as operation %s, which is on no record", it.ID, it.State, it.Step, step, charged[0])
		}
	}
}

// held puts beside a held item what the provider's log says of it.
func (j *judge) held(it *Item, song Song) {
	h := Held{Item: it.ID, Step: it.Step, Reason: it.Reason}
	for _, operation := range j.charges[job{song.SHA256, j.Paid[it.Step]}] {
		if !it.has(operation, j.Made[operation]) {
			h.Charged, h.Operation = true, operation
		}
	}
	if h.Reason == "" {
		j.breach(explained, "item %s is held without a reason", it.ID)
	}
	j.out.Held = append(j.out.Held, h)
}

// effect holds what follows a completion to happening once, and not before.
func (j *judge) effect(s *Session, batch Batch, over bool, expected []string) {
	if !over {
		if s.Settled > 0 || len(s.Effects) > 0 || s.Told != nil {
			j.breach(onceSettled, "session %s took effect %d times, and is not complete", s.ID, max(s.Settled, len(s.Effects)))
		}
		return
	}
	j.out.Completed++
	switch {
	case s.Settled != 1 || len(s.Effects) > 1:
		j.breach(onceSettled, "session %s took effect %d times by its record and %d times by the log, want once", s.ID, s.Settled, len(s.Effects))
	case !slices.Equal(s.Told, expected):
		j.breach(onceSettled, "session %s took effect too early, or with another's audioIds: %s", s.ID, difference(s.Told, expected))
	case j.early(s, batch):
		j.breach(onceSettled, "session %s took effect before its last paid request was accepted", s.ID)
	default:
		j.out.Once++
	}
}

func (j *judge) early(s *Session, batch Batch) bool {
	for _, song := range batch.Songs {
		for _, endpoint := range j.Paid {
			at, charged := j.times[job{song.SHA256, endpoint}]
			if charged && len(s.Effects) > 0 && s.Effects[0].Before(at) {
				return true
			}
		}
	}
	return false
}
