package simulator

import (
	"net/http"
	"net/url"
	"strings"
)

// What the handlers of every provider share: picking accounts, checking what
// belongs to whom, and the one way to charge.

// owns counts the use of what belongs to another account. The caller holds mu.
func (c *call) owns(account string) bool {
	if account != c.account {
		c.sim.conduct.WrongAccount++
	}
	return account == c.account
}

// unknown counts the use of an id that never was. The caller holds mu.
func (c *call) unknown() bool {
	c.sim.conduct.UnknownIDs++
	return false
}

// upstream picks one of the hidden accounts at random. Their numbers look like
// the 500046 of the documents.
func (c *call) upstream() int {
	return 500_001 + c.sim.dice.pick("upstream/"+c.name, c.number, c.sim.opts.UpstreamAccounts)
}

// audio reads a field that must be the address of an audio file.
func (c *call) audio(field string) (string, *answer) {
	address, ok := c.text(field)
	if !ok {
		refused := c.missing(field)
		return "", &refused
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		refused := c.bad(field + " must be a URL address")
		return "", &refused
	}
	return address, nil
}

// broken answers when the journal cannot be written: nothing was charged.
func (c *call) broken() answer {
	return c.no(http.StatusInternalServerError, "journal")
}

// provider is the first part of the endpoint's name.
func (c *call) provider() string {
	name, _, _ := strings.Cut(c.name, ".")
	return name
}

// incidental are the fields of any provider's body that two submissions of one
// job may differ in: where the audio lies, and where to be called back.
var incidental = []string{"audioUrl", "audio_url", "sessionId", "uploadUrl", "upload_url", "callBackUrl", "notify_hook"}

// accept charges for an operation and starts it, or gives a refusal. This is the
// moment of truth: from here on the credits are gone, whatever the client gets
// to hear.
func (c *call) accept(o *operation, t Timing) *answer {
	s := c.sim
	charge := Charge{
		Provider: c.provider(), Account: c.account, UpstreamAccount: o.Upstream, Endpoint: c.name, SessionID: o.Session,
		Credits: s.opts.price(c.name), AudioURL: o.AudioURL, AudioSHA256: o.SHA256,
		ParamsHash: hashParams(c.name, c.body, append(c.incidental, incidental...)...),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.advance(now)
	c.decided = now
	if refused := c.room(now); refused != nil {
		return refused
	}
	charge.Before = s.state.accounts[c.account].Credits
	charge.After = charge.Before - charge.Credits
	if charge.After < 0 {
		s.conduct.NoCredits++
		refused := c.no(http.StatusPaymentRequired, "Insufficient credits")
		return &refused
	}
	o.ID, o.Provider, o.Account, o.Created = s.newID("operation"), charge.Provider, c.account, now
	o.Took = t.draw(s.dice.fraction("took/"+c.name, c.number))
	c.foretell(o)
	charge.Seq, charge.Time, charge.OperationID = len(s.state.charges)+1, now, o.ID
	c.enter(&charge)
	if err := s.record(&event{Time: now, Operation: o, Charge: &charge}); err != nil {
		refused := c.broken()
		return &refused
	}
	if o.AudioURL != "" {
		s.fetch.add(download{state: s.state, operation: o})
	}
	s.announce(o)
	c.accepted(o)
	return nil
}

// enter decides when a charge appears in the provider's lists.
func (c *call) enter(charge *Charge) {
	if c.plan.has(BooksLag) {
		charge.Listed = charge.Time.Add(c.sim.opts.BooksDelay)
		c.sim.fired[BooksLag]++
	}
}

// foretell decides how an operation ends, as far as that is a matter of faults.
func (c *call) foretell(o *operation) {
	if o.Vanished = c.plan.has(ResultsVanish); o.Vanished {
		c.sim.fired[ResultsVanish]++
	}
	struck := c.plan.first(OperationFailed, OperationTimeout, OperationRefunded, OperationMatched, OperationSensitive)
	switch struck {
	default:
		if o.Fate == "" {
			o.Fate = succeeds
		}
		return
	case OperationRefunded:
		o.Fate, o.FailCode = fails, codeRefunded
	case OperationMatched:
		o.Fate, o.FailCode = fails, codeMatched
	case OperationSensitive:
		o.Fate, o.FailCode = fails, codeCopyrighted
	case OperationFailed:
		o.Fate, o.FailCode, o.Reason = fails, codeGeneration, "Upstream processing failed."
	case OperationTimeout:
		o.Fate, o.FailCode, o.Reason = expires, codeTimeout, "Task timed out."
	}
	c.sim.fired[struck]++
}

// link gives the address of a file on the CDN.
func (c *call) link(file string) string { return c.base() + "/cdn/" + file }

// base is where the client reaches the simulator.
func (c *call) base() string {
	if c.sim.opts.PublicURL != "" {
		return c.sim.opts.PublicURL
	}
	return "http://" + c.http.Host
}
