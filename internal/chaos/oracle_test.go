//go:build unix

package chaos_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/e2e/proctest"
	"github.com/segue-audio/segue/internal/simulator"
)

// books is everything that a run is judged by. What should have come of it is taken
// from the provider's side alone.
type books struct {
	// charges is the provider's log, by job; verdict what it says of its customer.
	charges map[proctest.Job][]simulator.Charge
	verdict simulator.Verdict
	// made are the tracks that the provider made, by operation; clips what it made of
	// uploads that were paid for.
	made map[string][]string
	// decided counts, per job, the charges that the operator allowed beyond the first.
	decided  map[proctest.Job]int
	sessions []ended
	// accounts are Segue's own books.
	accounts []account
}

// account is Segue's book of the account at one provider.
type account struct {
	Provider string  `json:"provider"`
	Spent    float64 `json:"spent"`
	Reserved float64 `json:"reserved"`
	// presumed is what the operator's decisions let stand as perhaps spent.
	presumed float64
}

// ended is a session in the end.
type ended struct {
	vendor proctest.Vendor
	songs  []proctest.Song
	status *proctest.Status
	// completions and settled are the session's own counts.
	completions, settled string
	// differing are the archived files that are not what the provider serves.
	differing []string
}

// findings says what is wrong; nothing is, when it is empty.
func (b *books) findings() []string {
	var found []string
	for _, key := range slices.SortedFunc(maps.Keys(b.charges), byJob) {
		if charges, allowed := b.charges[key], 1+b.decided[key]; len(charges) > allowed {
			found = append(found, fmt.Sprintf("extra charge: %d times %s for %.8s, and %d allowed: %v", len(charges), key.Endpoint, key.SHA256, allowed, operations(charges)))
		}
	}
	found = append(found, b.lost()...)
	for n := range b.sessions {
		found = append(found, b.session(&b.sessions[n])...)
	}
	for n := range b.accounts {
		found = append(found, b.ledger(&b.accounts[n])...)
	}
	return append(found, b.conduct()...)
}

// ledger compares an account's book with what the provider took: a budget holds only
// as well as the book does (P7).
func (b *books) ledger(a *account) []string {
	var took float64
	for key, charges := range b.charges {
		if provider, _, _ := strings.Cut(key.Endpoint, "."); provider != a.Provider {
			continue
		}
		for _, c := range charges {
			took += float64(c.Credits)
		}
	}
	if a.Reserved == 0 && a.Spent >= took && a.Spent <= took+a.presumed {
		return nil
	}
	return []string{fmt.Sprintf("the book of %s has %g spent and %g reserved, and the provider took %g (%g more may be presumed)", a.Provider, a.Spent, a.Reserved, took, a.presumed)}
}

func byJob(a, b proctest.Job) int {
	return strings.Compare(a.Endpoint+a.SHA256, b.Endpoint+b.SHA256)
}

func operations(charges []simulator.Charge) []string {
	ids := make([]string, len(charges))
	for n, c := range charges {
		ids[n] = c.OperationID
	}
	return ids
}

// lost are the charges that no item has on record (P2).
func (b *books) lost() []string {
	known := map[string]bool{}
	for n := range b.sessions {
		for _, it := range b.sessions[n].status.Items {
			known[it.ClipID] = true
			for _, id := range it.OperationIDs {
				known[id] = true
			}
		}
	}
	var found []string
	for _, key := range slices.SortedFunc(maps.Keys(b.charges), byJob) {
		for _, c := range b.charges[key] {
			// What was found by its clip alone may go without the operation's name.
			clip := ""
			if made := b.made[c.OperationID]; len(made) == 1 {
				clip = made[0]
			}
			if !known[c.OperationID] && (clip == "" || !known[clip]) {
				found = append(found, fmt.Sprintf("lost charge: %s of %.8s is on no item's record", c.OperationID, key.SHA256))
			}
		}
	}
	return found
}

// session are the findings about one session.
func (b *books) session(s *ended) []string {
	var found []string
	st := s.status
	if len(st.Items) != len(s.songs) {
		return []string{fmt.Sprintf("%s has %d items of %d songs", st.SessionID, len(st.Items), len(s.songs))}
	}
	var all []string
	var spent float64
	for n, song := range s.songs {
		tracks, credits, wrong := b.item(s.vendor, song, &st.Items[n])
		all, spent = append(all, tracks...), spent+credits
		found = append(found, wrong...)
	}
	if diff := cmp.Diff(all, st.AudioIDs); diff != "" {
		found = append(found, fmt.Sprintf("%s: audioIds in the order of the input (-provider +segue):\n%s", st.SessionID, diff))
	}
	if st.CreditsSpent != spent {
		found = append(found, fmt.Sprintf("%s: creditsSpent is %g, and the provider took %g", st.SessionID, st.CreditsSpent, spent))
	}
	if s.completions != "1" || s.settled != "1" {
		found = append(found, fmt.Sprintf("%s: %s completions, %s settled", st.SessionID, s.completions, s.settled))
	}
	for _, file := range s.differing {
		found = append(found, fmt.Sprintf("%s: %s is not what the provider serves", st.SessionID, file))
	}
	return found
}

// item gives the tracks that a song should have and what it cost, and what is wrong
// with the item that it became. The last of its paid operations made the tracks.
func (b *books) item(v proctest.Vendor, song proctest.Song, it *proctest.Item) (tracks []string, credits float64, wrong []string) {
	for _, endpoint := range v.Paid {
		charges := b.charges[proctest.Job{SHA256: song.SHA256, Endpoint: endpoint}]
		if len(charges) == 0 {
			wrong = append(wrong, fmt.Sprintf("%s: never charged at %s", it.ItemID, endpoint))
			continue
		}
		for _, c := range charges {
			credits += float64(c.Credits)
		}
		tracks = b.made[charges[len(charges)-1].OperationID]
	}
	switch {
	case it.Source != song.Path:
		wrong = append(wrong, fmt.Sprintf("%s is %s, want %s", it.ItemID, it.Source, song.Path))
	case it.Status != "succeeded":
		reason := ""
		if it.Error != nil {
			reason = it.Error.Reason
		}
		wrong = append(wrong, fmt.Sprintf("%s is %s at %s, want succeeded: %s", it.ItemID, it.Status, it.Step, reason))
	case !cmp.Equal(tracks, it.AudioIDs):
		wrong = append(wrong, fmt.Sprintf("%s has the tracks %v, and the provider made %v", it.ItemID, it.AudioIDs, tracks))
	}
	return tracks, credits, wrong
}

// conduct is what the provider itself has to complain about.
func (b *books) conduct() []string {
	v := b.verdict
	extra := 0
	for _, n := range b.decided {
		extra += n
	}
	var found []string
	for _, count := range []struct {
		what         string
		got, allowed int
	}{
		{"extra charges", v.ExtraCharges, extra},
		{"resubmissions", v.Resubmissions, 0},
		{"operations without an end", v.Running, 0},
		{"results never seen", v.UnseenResults, 0},
		{"failures never seen", v.UnseenFailures, 0},
		{"tracks never downloaded whole", v.UnfetchedTracks, 0},
		{"uses of the wrong account", v.WrongAccount + v.WrongKey + v.Unauthenticated, 0},
		{"uses of what never was", v.UnknownIDs + v.UnknownPaths, 0},
		{"keys told to strangers", v.LeakedKeys, 0},
		{"forged tickets", v.ForgedTickets, 0},
	} {
		if count.got > count.allowed {
			found = append(found, fmt.Sprintf("the provider counts %d %s, want %d at most", count.got, count.what, count.allowed))
		}
	}
	return found
}
