package simulator

import (
	"maps"
	"net/http"
	"slices"
	"time"
)

// Traffic is how a client kept to the limits, by the provider's own log: since the
// start or the last reset, or since a submission.
type Traffic struct {
	// Forgotten is how many submissions are not judged, because there were more
	// than the log keeps.
	Forgotten int `json:"forgotten"`
	// Accounts are in the order of provider and account. One without a name is
	// everybody whose key no account has.
	Accounts []AccountTraffic `json:"accounts"`
	// Markers are in the order of provider and marker.
	Markers []MarkerTraffic `json:"markers"`
}

// AccountTraffic is what one account at one provider sent.
type AccountTraffic struct {
	Provider string `json:"provider"`
	Account  string `json:"account"`
	// Limit is the one in force now. Where it has no rate, windows are of 10 s.
	Limit Limit `json:"limit"`
	// Outcomes counts the submissions by Submission.Outcome.
	Outcomes map[int]int `json:"outcomes"`
	// Limited counts the answers 429 that a limit was the reason of; those that a
	// fault was are among Outcomes alone.
	Limited int `json:"limited"`
	// WorstWindow is the most submissions within any stretch of the limit's time,
	// refused ones included, and WorstWindowAt when the first such stretch began.
	// Two that are the limit's time apart are not in one stretch.
	WorstWindow   int       `json:"worstWindow"`
	WorstWindowAt time.Time `json:"worstWindowAt,omitzero"`
	// MostInFlight is the most operations that ran at any instant since the start
	// or the last reset, on the provider's side.
	MostInFlight int `json:"mostInFlight"`
	// First and Last are those of acceptances; PerSecond is the rate between them.
	First     time.Time `json:"first,omitzero"`
	Last      time.Time `json:"last,omitzero"`
	PerSecond float64   `json:"perSecond"`
	// Used is what was accepted from First to Last, as a share of the most that the
	// rate allows in that time, whole bursts included: never more than 1 unless the
	// rate was broken, and a little less than 1 for an even pace. It is 0 where there
	// is no rate.
	Used float64 `json:"used"`
}

// MarkerTraffic is what one job of the client's sent.
type MarkerTraffic struct {
	Provider string `json:"provider"`
	Marker   string `json:"marker"`
	// Accounts counts its submissions by account: one account is what is promised.
	Accounts map[string]int `json:"accounts"`
	Accepted int            `json:"accepted"`
	// First is when its first submission arrived, Last when the last one was decided
	// about.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// Traffic judges what was submitted after a sequence number; 0 is all of it.
func (s *Simulator) Traffic(after int) Traffic {
	s.mu.Lock()
	s.advance(s.now())
	all := s.traffic.after(after, keptSubmissions)
	t := Traffic{Forgotten: max(s.traffic.seen-after-len(all), 0), Accounts: []AccountTraffic{}, Markers: []MarkerTraffic{}}
	limits, peaks := maps.Clone(s.limits), maps.Clone(s.traffic.peak)
	s.mu.Unlock()
	byTime(all)
	accounts, markers := map[[2]string][]Submission{}, map[[2]string][]Submission{}
	for _, one := range all {
		account := [2]string{one.Provider, one.Account}
		accounts[account] = append(accounts[account], one)
		if marker := [2]string{one.Provider, one.Marker}; one.Marker != "" {
			markers[marker] = append(markers[marker], one)
		}
	}
	for _, at := range ordered(accounts) {
		t.Accounts = append(t.Accounts, judgeAccount(at, limits[at[0]], peaks[at[0]+"/"+at[1]], accounts[at]))
	}
	for _, at := range ordered(markers) {
		t.Markers = append(t.Markers, judgeMarker(at, markers[at]))
	}
	return t
}

func ordered(groups map[[2]string][]Submission) [][2]string {
	return slices.SortedFunc(maps.Keys(groups), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
}

// judgeAccount judges submissions in the order of time.
func judgeAccount(at [2]string, limit Limit, peak int, sent []Submission) AccountTraffic {
	a := AccountTraffic{Provider: at[0], Account: at[1], Limit: limit, Outcomes: map[int]int{}, MostInFlight: peak}
	for _, one := range sent {
		a.Outcomes[one.Outcome]++
		if one.Beyond() {
			a.Limited++
		}
		if one.Outcome != http.StatusOK {
			continue
		}
		if a.First.IsZero() {
			a.First = one.Time
		}
		a.Last = one.Time
	}
	a.WorstWindow, a.WorstWindowAt = worstWindow(sent, limit.span())
	accepted := float64(a.Outcomes[http.StatusOK])
	lasted := a.Last.Sub(a.First).Seconds()
	if lasted > 0 {
		a.PerSecond = (accepted - 1) / lasted
	}
	if limit.Requests > 0 {
		a.Used = accepted / (float64(limit.Requests) * (lasted/limit.span().Seconds() + 1))
	}
	return a
}

// worstWindow gives the most submissions in any half-open stretch, and when the
// first of those stretches began.
func worstWindow(sent []Submission, span time.Duration) (most int, at time.Time) {
	first := 0
	for n := range sent {
		for sent[n].Time.Sub(sent[first].Time) >= span {
			first++
		}
		if within := n - first + 1; within > most {
			most, at = within, sent[first].Time
		}
	}
	return most, at
}

func judgeMarker(at [2]string, sent []Submission) MarkerTraffic {
	m := MarkerTraffic{Provider: at[0], Marker: at[1], Accounts: map[string]int{}, First: sent[0].Arrived, Last: sent[len(sent)-1].Time}
	for _, one := range sent {
		m.Accounts[one.Account]++
		if one.Outcome == http.StatusOK {
			m.Accepted++
		}
		if one.Arrived.Before(m.First) {
			m.First = one.Arrived
		}
	}
	return m
}

func (s *Simulator) getTraffic(w http.ResponseWriter, r *http.Request) {
	after, err := sequence(r)
	if err != nil {
		writeError(w, err)
		return
	}
	write(w, answerJSON(http.StatusOK, s.Traffic(after)))
}
