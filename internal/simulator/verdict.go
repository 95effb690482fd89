package simulator

import (
	"cmp"
	"maps"
	"time"
)

// Verdict is the provider's side of the story: what the client did wrong, what
// it paid twice, what it paid for and never saw.
//
// What follows from charges (the first block) survives a restart with a
// journal; the counts of conduct are since the start or the last reset.
type Verdict struct {
	Charges         int   `json:"charges"`
	Credits         int64 `json:"credits"`
	RefundedCredits int64 `json:"refundedCredits"`
	// AnswersLost is how many charged requests got no usable answer.
	AnswersLost int `json:"answersLost"`
	// ExtraCharges counts submissions of the same audio and parameters on one
	// account beyond the first. One made after the client was shown that the
	// former operation failed is a Resubmission instead.
	ExtraCharges  int `json:"extraCharges"`
	Resubmissions int `json:"resubmissions"`
	// Doubles are the groups behind ExtraCharges; at most a hundred are listed.
	Doubles []Double `json:"doubles"`
	// Running counts operations without an end yet.
	Running int `json:"running"`
	// UnseenResults counts operations that succeeded and whose success no
	// answer ever showed: paid and lost. UnseenFailures likewise. A callback is
	// no answer: anybody may have sent it, and a careful client asks.
	UnseenResults  int `json:"unseenResults"`
	UnseenFailures int `json:"unseenFailures"`
	// UnfetchedTracks counts generated tracks never downloaded whole, without
	// those that ResultsVanish took away.
	UnfetchedTracks int `json:"unfetchedTracks"`

	Conduct

	// Clean is true when nothing was paid twice, nothing that ended went
	// unseen or unfetched, and no request broke a rule. Fast polls, refused
	// requests, early downloads, expired tickets and repeated steps do not
	// count: they cost nothing.
	Clean bool `json:"clean"`
}

// Conduct counts requests that a provider would frown at.
type Conduct struct {
	Requests int `json:"requests"`
	// Unauthenticated requests carried no key, WrongKey ones an unknown key.
	Unauthenticated int `json:"unauthenticated"`
	WrongKey        int `json:"wrongKey"`
	// WrongAccount counts uses of something that belongs to another account,
	// or together with something of another upstream account.
	WrongAccount int `json:"wrongAccount"`
	// UnknownIDs counts uses of sessions, clips and operations that never were.
	UnknownIDs int `json:"unknownIds"`
	// UnknownPaths counts requests to no endpoint (or with a wrong method).
	UnknownPaths int `json:"unknownPaths"`
	// FastPolls counts status requests sooner after the last one about the
	// same thing than Options.PollAdvice.
	FastPolls int `json:"fastPolls"`
	// PollsAfterEnd counts status requests about an operation whose end the
	// client had been shown: harmless, and wasted.
	PollsAfterEnd int `json:"pollsAfterEnd"`
	// EarlyDownloads counts downloads of tracks that were not finished.
	EarlyDownloads int `json:"earlyDownloads"`
	// NoCredits counts paid requests refused for want of credits.
	NoCredits int `json:"noCredits"`
	// Callbacks counts those that were sent, without the forged ones. The
	// receiver took longer than it may for SlowCallbacks, could not be reached
	// for UnreachedCallbacks and did not acknowledge RefusedCallbacks;
	// AbandonedCallbacks failed at every attempt.
	Callbacks          int `json:"callbacks"`
	SlowCallbacks      int `json:"slowCallbacks"`
	UnreachedCallbacks int `json:"unreachedCallbacks"`
	RefusedCallbacks   int `json:"refusedCallbacks"`
	AbandonedCallbacks int `json:"abandonedCallbacks"`
	// OverLimit counts requests beyond a documented limit: operations started,
	// operations running, questions per second.
	OverLimit int `json:"overLimit"`
	// BlockedAgents counts requests to a staging host that did not name a
	// proper User-Agent.
	BlockedAgents int `json:"blockedAgents"`
	// UnreachableAudio counts addresses that could not be downloaded while the
	// client waited, ExpiredFiles requests for staged files after their time,
	// ExpiredResults those for results, and OverwrittenFiles staged files that
	// took the place of others.
	UnreachableAudio int `json:"unreachableAudio"`
	ExpiredFiles     int `json:"expiredFiles"`
	ExpiredResults   int `json:"expiredResults"`
	OverwrittenFiles int `json:"overwrittenFiles"`
	// LeakedKeys counts requests to the storage and for result files that
	// carried an API key: to somebody else's host, in the real world.
	LeakedKeys int `json:"leakedKeys"`
	// ChunkedBodies counts transfers without a length, which S3 refuses.
	ChunkedBodies int `json:"chunkedBodies"`
	// ForgedTickets counts transfers with a ticket that was changed or never
	// given out, ExpiredTickets those that came too late.
	ForgedTickets  int `json:"forgedTickets"`
	ExpiredTickets int `json:"expiredTickets"`
	// StepsOutOfOrder counts steps of an upload before the one they need was
	// done, or after it made them pointless; RepeatedSteps those done before.
	StepsOutOfOrder int `json:"stepsOutOfOrder"`
	RepeatedSteps   int `json:"repeatedSteps"`
	// BadRequests counts bodies refused for any reason.
	BadRequests int `json:"badRequests"`
	// MissingFields, UnknownFields and IgnoredFields count by
	// "endpoint field". Ignored ones exist but mean nothing to that task.
	MissingFields map[string]int `json:"missingFields"`
	UnknownFields map[string]int `json:"unknownFields"`
	IgnoredFields map[string]int `json:"ignoredFields"`
}

// Double is one job that was paid for more than once.
type Double struct {
	Account  string `json:"account"`
	Endpoint string `json:"endpoint"`
	// Audio is the SHA-256 of the audio, or its URL when that is not known.
	Audio      string `json:"audio"`
	ParamsHash string `json:"paramsHash"`
	// Charges are the sequence numbers, the first and rightful one included.
	Charges []int `json:"charges"`
}

const maxDoubles = 100

func newConduct() Conduct {
	return Conduct{MissingFields: map[string]int{}, UnknownFields: map[string]int{}, IgnoredFields: map[string]int{}}
}

// Verdict judges everything up to now.
func (s *Simulator) Verdict() Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(s.now())
	v := Verdict{Charges: len(s.state.charges), Doubles: []Double{}, Conduct: s.conduct}
	v.MissingFields = maps.Clone(s.conduct.MissingFields)
	v.UnknownFields = maps.Clone(s.conduct.UnknownFields)
	v.IgnoredFields = maps.Clone(s.conduct.IgnoredFields)
	for i := range s.state.charges {
		v.addCharge(&s.state.charges[i])
	}
	for _, o := range s.state.operations {
		v.addOperation(o)
	}
	v.addDoubles(s.state)
	v.Clean = v.clean()
	return v
}

func (v *Verdict) addCharge(c *Charge) {
	v.Credits += c.Credits
	if c.Refunded {
		v.RefundedCredits += c.Credits
	}
	if c.Fault != "" {
		v.AnswersLost++
	}
}

func (v *Verdict) addOperation(o *operation) {
	switch {
	case !o.ended:
		v.Running++
	case o.Fate != succeeds:
		if o.seen.IsZero() {
			v.UnseenFailures++
		}
	default:
		v.addSuccess(o)
	}
}

func (v *Verdict) addSuccess(o *operation) {
	if o.seen.IsZero() {
		v.UnseenResults++
	}
	if o.Task == "" || o.Vanished {
		return
	}
	for i := range o.Tracks {
		if !o.downloaded[i] {
			v.UnfetchedTracks++
		}
	}
}

// job identifies what a charge was for. An uploaded file's address may be signed
// anew for each attempt, so the audio itself is what is compared.
type job struct{ account, endpoint, audio, params string }

func jobOf(c *Charge) job {
	return job{c.Account, c.Endpoint, cmp.Or(c.AudioSHA256, c.AudioURL), c.ParamsHash}
}

func (v *Verdict) addDoubles(st *state) {
	last := map[job]int{}
	groups := map[job]*Double{}
	var order []*Double
	for i := range st.charges {
		c := &st.charges[i]
		before, again := last[jobOf(c)]
		last[jobOf(c)] = i
		if !again {
			continue
		}
		if st.knownFailed(before, c.Time) {
			v.Resubmissions++
			continue
		}
		v.ExtraCharges++
		group := groups[jobOf(c)]
		if group == nil {
			group = &Double{c.Account, c.Endpoint, cmp.Or(c.AudioSHA256, c.AudioURL), c.ParamsHash, []int{st.charges[before].Seq}}
			groups[jobOf(c)] = group
			order = append(order, group)
		}
		group.Charges = append(group.Charges, c.Seq)
	}
	for _, d := range order[:min(len(order), maxDoubles)] {
		v.Doubles = append(v.Doubles, *d)
	}
}

// knownFailed says whether the client had been shown, before a moment, that the
// operation of a charge came to nothing.
func (st *state) knownFailed(charge int, before time.Time) bool {
	o := st.operations[st.charges[charge].OperationID]
	return o.Fate != succeeds && !o.seen.IsZero() && o.seen.Before(before)
}

func (v *Verdict) clean() bool {
	paidInVain := v.ExtraCharges + v.UnseenResults + v.UnseenFailures + v.UnfetchedTracks
	broken := v.Unauthenticated + v.WrongKey + v.WrongAccount + v.UnknownIDs + v.UnknownPaths + v.BadRequests
	broken += v.BlockedAgents + v.ExpiredFiles + v.OverLimit
	broken += v.LeakedKeys + v.ChunkedBodies + v.ForgedTickets + v.StepsOutOfOrder
	return paidInVain == 0 && broken == 0 && len(v.UnknownFields) == 0
}
