package simulator

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// letter is one callback, ready to be posted.
type letter struct {
	to        string
	body      []byte
	timestamp string // "" when it is not signed
	signature string
}

// outcome is what became of an announcement.
type outcome string

const (
	delivered outcome = "delivered"
	lost      outcome = "lost" // by a fault: the provider believes it was sent
	abandoned outcome = "abandoned"
)

// called is the event of an announcement being over.
type called struct {
	Operation string  `json:"operation"`
	Kind      string  `json:"kind"`
	Outcome   outcome `json:"outcome"`
	Final     bool    `json:"final,omitempty"`
}

// announce queues what an operation owes its client and has not delivered yet.
// The caller holds mu, or is New.
func (s *Simulator) announce(o *operation) {
	a := s.announcers[o.Provider]
	if a == nil || o.Callback == "" || o.source != sourceDone {
		return
	}
	chain := slices.DeleteFunc(a.owed(s, o), func(n announcement) bool { return slices.Contains(o.called, n.kind) })
	if len(chain) > 0 {
		s.courier.add(&delivery{state: s.state, operation: o, chain: chain, due: chain[0].due})
	}
}

// deliver makes one attempt, faults included, and queues what comes after it.
func (s *Simulator) deliver(d *delivery) {
	p, post, mine := s.compose(d)
	if !mine {
		return
	}
	if post == nil {
		s.follow(d)
		return
	}
	if p.has(CallbackReordered) {
		s.courier.add(d.later(s.opts.FaultDelay))
		return
	}
	ended := lost
	if !p.has(CallbackLost) {
		ended = s.attempt(d, p, post)
	}
	if s.closing.Err() != nil {
		return // broken off: the next start delivers it
	}
	if ended == "" {
		s.retry(d)
	} else {
		s.concluded(d, ended)
	}
	s.follow(d)
}

// compose decides what the attempt meets and writes what is to be posted: first
// what a fault adds, the real callback last. It is nothing when the announcement
// came early and is over.
func (s *Simulator) compose(d *delivery) (p plan, post []letter, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != d.state {
		return nil, nil, false
	}
	s.advance(s.now())
	a, o := s.announcers[d.operation.Provider], d.operation
	if slices.Contains(o.called, d.chain[0].kind) {
		return nil, nil, true
	}
	if d.attempt == 0 && !d.chain[0].moved {
		p, _ = s.planned(a.endpoint, o.Account)
	}
	if d.attempt == 0 {
		d.signed = s.now()
	}
	if hides := p.first(CallbackReordered, CallbackLost); hides != "" {
		p = plan{hides}
	}
	for _, k := range p {
		s.fired[k]++
	}
	post = s.forgeries(a, o, p)
	genuine := s.seal(a, o, o.ID, a.body(s, o, d.chain[0]), s.signingTime(d))
	post = append(post, genuine)
	if p.has(CallbackDoubled) {
		post = append(post, genuine)
	}
	return p, post, true
}

// signingTime is when a delivery says it was signed. The documents do not say
// whether a retry is signed anew, so half of the seeds keep the first timestamp:
// a receiver with a narrow window loses all their retries.
func (s *Simulator) signingTime(d *delivery) time.Time {
	if s.dice.pick("callback/retry keeps its timestamp", 0, 2) == 0 {
		return d.signed
	}
	return s.now()
}

// seal addresses a body and signs it as KIE documents: HMAC-SHA256 over the
// task's id, a dot and the seconds since 1970, in standard Base64. The body is
// not covered.
func (s *Simulator) seal(a *announcer, o *operation, task string, body []byte, at time.Time) letter {
	l := letter{to: o.Callback, body: body}
	key := s.webhookKey(o.Account)
	if key == "" || !a.signed {
		return l
	}
	l.timestamp = strconv.FormatInt(at.Unix(), 10)
	l.signature = sign(key, task, l.timestamp)
	return l
}

func sign(key, task, timestamp string) string {
	code := hmac.New(sha256.New, []byte(key))
	_, _ = io.WriteString(code, task+"."+timestamp) // documented never to fail
	return base64.StdEncoding.EncodeToString(code.Sum(nil))
}

// forgeries are the letters that strangers send before the real one.
func (s *Simulator) forgeries(a *announcer, o *operation, p plan) []letter {
	if a.lie == nil {
		return nil
	}
	var post []letter
	now, number := s.now(), s.requests[a.endpoint]
	if p.has(CallbackForged) {
		l := s.seal(a, o, o.ID, a.lie(s, o, number), now)
		if l.signature != "" {
			l.signature = sign("not the key", o.ID, l.timestamp)
		}
		post = append(post, l)
	}
	if p.has(CallbackReplayed) {
		post = append(post, s.seal(a, o, o.ID, a.lie(s, o, number), now))
	}
	if p.has(CallbackStranger) {
		other := *o
		other.ID = derive(o.ID, "stranger/"+strconv.FormatUint(number, 10))
		post = append(post, s.seal(a, &other, other.ID, a.lie(s, &other, number), now))
	}
	return post
}

// attempt posts letters and gives the outcome of the last one, which is real, or
// "" when it failed.
func (s *Simulator) attempt(d *delivery, p plan, post []letter) outcome {
	forged := len(post) - 1
	if p.has(CallbackDoubled) {
		forged--
	}
	for _, l := range post[:forged] {
		_ = s.send(l) // whoever forges does not care
	}
	ended := outcome("")
	for _, l := range post[forged:] {
		err := s.send(l)
		s.judge(err)
		if err == nil {
			ended = delivered
		}
	}
	if ended == "" && d.attempt >= len(s.opts.Callbacks.Retries) {
		return abandoned
	}
	return ended
}

var errNotAcknowledged = errors.New("not acknowledged")

// send posts one letter and says whether it was acknowledged. The documents ask
// for a status of 200; whether another 2xx will do depends on the seed.
func (s *Simulator) send(l letter) error {
	ctx, cancel := context.WithTimeout(s.closing, s.opts.Callbacks.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.to, bytes.NewReader(l.body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if l.signature != "" {
		request.Header.Set("X-Webhook-Timestamp", l.timestamp)
		request.Header.Set("X-Webhook-Signature", l.signature)
	}
	response, err := s.courier.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, maxBody)); err != nil {
		return err
	}
	strict := s.dice.pick("callback/only 200 will do", 0, 2) == 0
	if response.StatusCode/100 != 2 || strict && response.StatusCode != http.StatusOK {
		return errNotAcknowledged
	}
	return nil
}

// judge counts how the client's receiver did.
func (s *Simulator) judge(err error) {
	if s.closing.Err() != nil {
		return
	}
	s.count(func(n *Conduct) {
		n.Callbacks++
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			n.SlowCallbacks++
		case errors.Is(err, errNotAcknowledged):
			n.RefusedCallbacks++
		case err != nil:
			n.UnreachedCallbacks++
		}
	})
}

// retry queues the next attempt at an announcement, on its own.
func (s *Simulator) retry(d *delivery) {
	s.courier.add(&delivery{
		state: d.state, operation: d.operation, chain: d.chain[:1:1], attempt: d.attempt + 1, signed: d.signed,
		due: s.now().Add(s.opts.Callbacks.Retries[d.attempt]),
	})
}

// concluded records that an announcement is over.
func (s *Simulator) concluded(d *delivery, ended outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != d.state {
		return
	}
	if ended == abandoned {
		s.conduct.AbandonedCallbacks++
	}
	s.note(&event{Time: s.now(), Called: &called{d.operation.ID, d.chain[0].kind, ended, d.chain[0].final}})
}

// follow queues what the chain goes on with: nothing after a retry, which is
// alone.
func (s *Simulator) follow(d *delivery) {
	if len(d.chain) > 1 {
		s.courier.add(&delivery{state: d.state, operation: d.operation, chain: d.chain[1:], due: d.chain[1].due})
	}
}

// later moves the first announcement behind the last; the only one is held back
// for a while instead.
func (d *delivery) later(pause time.Duration) *delivery {
	first := d.chain[0]
	first.moved = true
	last := d.chain[len(d.chain)-1]
	if len(d.chain) == 1 {
		first.due = d.due.Add(pause)
	} else {
		first.due = last.due
	}
	chain := append(slices.Clone(d.chain[1:]), first)
	return &delivery{state: d.state, operation: d.operation, chain: chain, due: chain[0].due}
}

// announceEarly sends the first thing that an accepted operation announces
// before the client hears that it was accepted, where that is possible: it must
// not be the end.
func (s *Simulator) announceEarly(c *call, operation string) {
	s.mu.Lock()
	o := s.state.operations[operation]
	a := s.announcers[c.provider()]
	if a == nil || o == nil || o.Callback == "" {
		s.mu.Unlock()
		return
	}
	owed := a.owed(s, o)
	if len(owed) == 0 || owed[0].final {
		s.mu.Unlock()
		return
	}
	first := owed[0]
	l := s.seal(a, o, o.ID, a.body(s, o, first), s.now())
	of := s.state
	s.fired[CallbackEarly]++
	s.mu.Unlock()
	err := s.send(l)
	s.judge(err)
	if err == nil {
		s.concluded(&delivery{state: of, operation: o, chain: []announcement{first}}, delivered)
	}
}

// webhookKey gives the key that signs an account's callbacks, "" for none.
func (s *Simulator) webhookKey(account string) string {
	if key := s.webhooks[account]; key != "" {
		return key
	}
	return s.opts.Callbacks.WebhookKey
}
