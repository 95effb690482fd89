package simulator

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// The control API, all JSON:
//
//	GET  /_sim/charges?after=SEQ  the charge log, or what came after a charge
//	GET  /_sim/verdict            the Verdict
//	GET  /_sim/traffic?after=SEQ  the Traffic, or that of the submissions after one
//	GET  /_sim/submissions?after=SEQ  the log of submissions, ten thousand at a time
//	GET  /_sim/state              seed, faults, accounts, counts
//	GET  /_sim/faults             probabilities, scripts and spells in force
//	POST /_sim/faults             {"probabilities": Faults, "next": [Next], "spells": [Spell]}: any of them
//	GET  /_sim/limits             the limits in force
//	POST /_sim/limits             {provider: Limit}: those of the providers named
//	POST /_sim/credits            {"account", "credits"} sets, {"account", "add"} adds
//	POST /_sim/reset              forgets everything, the journal too
//
// Errors are {"error": "..."} with 400, 404 or 500.
func (s *Simulator) routeControl() {
	s.mux.HandleFunc("GET /_sim/charges", s.getCharges)
	s.mux.HandleFunc("GET /_sim/verdict", func(w http.ResponseWriter, _ *http.Request) {
		write(w, answerJSON(http.StatusOK, s.Verdict()))
	})
	s.mux.HandleFunc("GET /_sim/state", func(w http.ResponseWriter, _ *http.Request) {
		write(w, answerJSON(http.StatusOK, s.report()))
	})
	s.mux.HandleFunc("GET /_sim/faults", func(w http.ResponseWriter, _ *http.Request) {
		write(w, answerJSON(http.StatusOK, s.faultsInForce()))
	})
	s.mux.HandleFunc("POST /_sim/faults", s.postFaults)
	s.mux.HandleFunc("GET /_sim/traffic", s.getTraffic)
	s.mux.HandleFunc("GET /_sim/submissions", s.getSubmissions)
	s.mux.HandleFunc("GET /_sim/limits", s.getLimits)
	s.mux.HandleFunc("POST /_sim/limits", s.postLimits)
	s.mux.HandleFunc("POST /_sim/credits", s.postCredits)
	s.mux.HandleFunc("POST /_sim/reset", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.Reset(); err != nil {
			writeError(w, err)
			return
		}
		write(w, answerJSON(http.StatusOK, s.report()))
	})
}

func writeError(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch fault.CodeOf(err) {
	case fault.Invalid:
		status = http.StatusBadRequest
	case fault.NotFound:
		status = http.StatusNotFound
	}
	write(w, answerJSON(status, map[string]string{"error": fault.Reason(err)}))
}

func (s *Simulator) getCharges(w http.ResponseWriter, r *http.Request) {
	after, err := sequence(r)
	if err != nil {
		writeError(w, err)
		return
	}
	charges := s.Charges()
	charges = charges[min(after, len(charges)):]
	write(w, answerJSON(http.StatusOK, append([]Charge{}, charges...)))
}

// decodeControl reads a body; unknown fields are errors, since a misspelt
// knob would be one that silently does nothing.
func decodeControl(w http.ResponseWriter, r *http.Request, into any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil && decoder.More() {
		err = errors.New("more than one JSON value")
	}
	if err != nil {
		writeError(w, fault.New(fault.Invalid, "simulator.control", err))
	}
	return err == nil
}

// faultSettings is what POST /_sim/faults takes and GET gives.
type faultSettings struct {
	Probabilities Faults  `json:"probabilities"`
	Next          []Next  `json:"next"`
	Spells        []Spell `json:"spells,omitempty"`
}

func (s *Simulator) faultsInForce() faultSettings {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := Faults{} // never null in the answer
	maps.Copy(f, s.faults)
	return faultSettings{Probabilities: f, Next: append([]Next{}, s.script...), Spells: s.spellsInForce(s.now())}
}

func (s *Simulator) postFaults(w http.ResponseWriter, r *http.Request) {
	var wanted faultSettings
	if !decodeControl(w, r, &wanted) {
		return
	}
	// All or nothing: a request with one bad knob turns none.
	err := errors.Join(wanted.Probabilities.check(), s.checkScript(wanted.Next), s.checkSpells(wanted.Spells))
	if err == nil && wanted.Probabilities == nil && wanted.Next == nil && wanted.Spells == nil {
		err = errors.New(`none of "probabilities", "next" and "spells" given`)
	}
	if err != nil {
		writeError(w, fault.New(fault.Invalid, "simulator.faults", err))
		return
	}
	if wanted.Probabilities != nil {
		err = s.SetFaults(wanted.Probabilities)
	}
	if err = errors.Join(err, s.Script(wanted.Next...), s.Cast(wanted.Spells...)); err != nil {
		writeError(w, err)
		return
	}
	write(w, answerJSON(http.StatusOK, s.faultsInForce()))
}

func (s *Simulator) postCredits(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		Account string `json:"account"`
		Credits *int64 `json:"credits"`
		Add     *int64 `json:"add"`
	}
	if !decodeControl(w, r, &wanted) {
		return
	}
	if (wanted.Credits == nil) == (wanted.Add == nil) {
		writeError(w, fault.New(fault.Invalid, "simulator.credits", errors.New(`give one of "credits" and "add"`)))
		return
	}
	var balance int64
	var err error
	if wanted.Credits != nil {
		balance, err = s.setCredits(wanted.Account, *wanted.Credits, false)
	} else {
		balance, err = s.setCredits(wanted.Account, *wanted.Add, true)
	}
	if err != nil {
		writeError(w, err)
		return
	}
	write(w, answerJSON(http.StatusOK, Account{Name: wanted.Account, Credits: balance}))
}

// SetCredits sets the balance of an account. An unknown account is
// fault.NotFound, a negative balance fault.Invalid.
func (s *Simulator) SetCredits(account string, credits int64) error {
	_, err := s.setCredits(account, credits, false)
	return err
}

func (s *Simulator) setCredits(name string, amount int64, add bool) (int64, error) {
	const op = "simulator.SetCredits"
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.advance(now)
	a := s.state.accounts[name]
	if a == nil {
		return 0, fault.New(fault.NotFound, op, errors.New("unknown account "+strconv.Quote(name)))
	}
	if add {
		amount += a.Credits
	}
	if amount < 0 {
		return 0, fault.New(fault.Invalid, op, errors.New("credits must not be negative"))
	}
	if err := s.record(&event{Time: now, Account: &account{Name: name, Credits: amount}}); err != nil {
		return 0, fault.New(fault.Internal, op, err)
	}
	return amount, nil
}

// Reset forgets everything that happened, in the journal too, and returns to
// the faults and balances of the Options. Operations under way are gone.
func (s *Simulator) Reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := errors.Join(s.journal.erase(), s.files.clear()); err != nil {
		return fault.New(fault.Internal, "simulator.Reset", err)
	}
	s.resets++
	s.courier.forget()
	s.clear()
	if err := s.addAccounts(); err != nil {
		return fault.New(fault.Internal, "simulator.Reset", err)
	}
	return nil
}

// Report is what GET /_sim/state answers.
type Report struct {
	Seed      int64     `json:"seed"`
	StartedAt time.Time `json:"startedAt"`
	// Accounts are in alphabetical order.
	Accounts []Account `json:"accounts"`
	Sessions int       `json:"sessions"`
	// Uploads counts those of kkiai, each of which is one file.
	Uploads int `json:"uploads"`
	// Operations counts by status word.
	Operations map[string]int `json:"operations"`
	// Downloads counts sources not yet downloaded by the provider.
	Downloads int `json:"downloads"`
	// Callbacks counts those that wait for their time or are under way.
	Callbacks int    `json:"callbacks"`
	Faults    Faults `json:"faults"`
	Next      []Next `json:"next"`
	// Requests counts by endpoint, Fired by kind of fault.
	Requests  map[string]uint64 `json:"requests"`
	Fired     map[Kind]int      `json:"fired"`
	Endpoints []string          `json:"endpoints"`
	// Kkiai is what the seed and the options made of kkiai's open questions.
	Kkiai Kkiai `json:"kkiai"`
}

func (s *Simulator) report() Report {
	settings := s.faultsInForce()
	r := Report{
		Seed: s.opts.Seed, Downloads: s.fetch.pending(), Callbacks: s.courier.pending(), Faults: settings.Probabilities, Next: settings.Next,
		Operations: map[string]int{}, Requests: map[string]uint64{}, Fired: map[Kind]int{}, Accounts: []Account{}, Endpoints: s.Endpoints(),
		Kkiai: s.opts.Kkiai,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.advance(now)
	r.StartedAt, r.Sessions, r.Uploads = s.started, len(s.state.sessions), len(s.state.uploads)
	for _, a := range s.state.accounts {
		r.Accounts = append(r.Accounts, Account{Name: a.Name, Credits: a.Credits})
	}
	slices.SortFunc(r.Accounts, func(a, b Account) int { return strings.Compare(a.Name, b.Name) })
	for _, o := range s.state.operations {
		r.Operations[o.stage(now)]++
	}
	maps.Copy(r.Requests, s.requests)
	maps.Copy(r.Fired, s.fired)
	return r
}
