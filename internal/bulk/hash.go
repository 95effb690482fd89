package bulk

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"

	"github.com/segue-audio/segue/internal/provider"
)

// hasher makes a plan's hash, a line of JSON for each thing that moves it.
type hasher struct{ sha hash.Hash }

// hashVersion begins a hash: one that an older program made is refused, and not
// taken for a plan that moved.
const hashVersion = "p1-"

func newHasher() *hasher { return &hasher{sha: sha256.New()} }

// outcomeLine is what of an outcome moves the hash.
type outcomeLine struct {
	Kind Kind `json:"kind"`
	// Key stands for content, provider and parameters, where the content is known.
	Key      string           `json:"key,omitempty"`
	Provider string           `json:"provider,omitempty"`
	Account  string           `json:"account,omitempty"`
	URL      string           `json:"url,omitempty"`
	Path     string           `json:"path,omitempty"`
	ETag     string           `json:"etag,omitempty"`
	Size     int64            `json:"size,omitempty"`
	Params   *provider.Params `json:"params,omitempty"`
	Price    Price            `json:"price"`
	Credits  float64          `json:"credits"`
	// Wrong are the input and what is wrong with it.
	Wrong []string `json:"wrong,omitempty"`
}

func (h *hasher) outcome(o *Outcome, price Price) {
	line := outcomeLine{Kind: o.Kind, Key: o.Key, Provider: o.Job.Provider, Account: o.Job.Account, Price: price, Credits: o.Credits}
	switch {
	case o.Kind == Wrong:
		for _, f := range o.Findings {
			if !f.Note {
				line.Wrong = append(line.Wrong, f.Source, f.Reason)
			}
		}
		if line.Wrong == nil {
			return // a note
		}
	case o.Key == "":
		line.URL, line.Path, line.Params = o.Input.URL, o.Input.Path, o.Job.Params
		line.ETag, line.Size = o.Input.Probed.ETag, o.Input.Probed.Size
	}
	h.line(line)
}

func (h *hasher) account(a Account) {
	h.line(map[string]any{"account": []string{a.Provider, a.Name}, "balance": a.Balance, "budget": a.Budget})
}

// line adds one thing. What JSON has no form for is no number of credits, and stands
// for itself by what is said about it.
func (h *hasher) line(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		text = []byte(err.Error())
	}
	h.sha.Write(append(text, '\n')) // hash.Hash never returns an error
}

func (h *hasher) sum() string { return hashVersion + hex.EncodeToString(h.sha.Sum(nil)[:16]) }
