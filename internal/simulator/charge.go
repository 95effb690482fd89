package simulator

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// Charge is one accepted, billed request: the truth that a client's own books
// are measured against.
type Charge struct {
	// Seq counts from 1, in the order of acceptance.
	Seq      int       `json:"seq"`
	Time     time.Time `json:"time"`
	Provider string    `json:"provider"`
	// Account is the account's name, never its key.
	Account string `json:"account"`
	// UpstreamAccount is the hidden account that the provider works with.
	UpstreamAccount int    `json:"upstreamAccount"`
	Endpoint        string `json:"endpoint"`
	OperationID     string `json:"operationId"`
	// SessionID is empty outside of batch upload sessions.
	SessionID string `json:"sessionId,omitempty"`
	Credits   int64  `json:"credits"`
	// Before and After are the balances around the charge.
	Before int64 `json:"balanceBefore"`
	After  int64 `json:"balanceAfter"`
	// AudioSHA256 is known once the audio was downloaded; for a continuation
	// of a clip it is that of the audio the clip was made from.
	AudioSHA256 string `json:"audioSha256,omitempty"`
	// AudioURL is what the client sent, whole: a charge log is for tests.
	AudioURL string `json:"audioUrl,omitempty"`
	// ParamsHash covers every parameter except the audio's address and the
	// session: equal for two submissions of one job.
	ParamsHash string `json:"paramsHash"`
	// Listed is when the charge appears in the provider's lists, where that is not
	// at once; see BooksLag.
	Listed time.Time `json:"listed,omitzero"`
	// Refunded says that the credits were given back.
	Refunded bool `json:"refunded"`
	// Fault is the kind that spoiled the answer; empty when it was sent whole.
	Fault Kind `json:"fault,omitempty"`
}

// Charges gives the charge log, oldest first. It is a copy.
func (s *Simulator) Charges() []Charge {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(s.now())
	return slices.Clone(s.state.charges)
}

// hashParams gives 16 hex digits over a request body without the given fields.
// encoding/json writes keys in order, so equal bodies give equal hashes.
func hashParams(endpoint string, body map[string]any, without ...string) string {
	kept := maps.Clone(body)
	for _, name := range without {
		delete(kept, name)
	}
	text, err := json.Marshal(kept)
	if err != nil { // what was decoded from JSON can be encoded
		panic("simulator: " + err.Error())
	}
	sum := sha256.Sum256(append([]byte(endpoint+"\n"), text...))
	return hex.EncodeToString(sum[:8])
}
