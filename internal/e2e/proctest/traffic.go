//go:build unix

package proctest

import (
	"fmt"
	"net/http"

	"github.com/segue-audio/segue/internal/simulator"
)

// Limit changes what a vendor allows each account from here on.
func (p *Provider) Limit(vendor string, l simulator.Limit) {
	p.t.Helper()
	p.Ask(http.MethodPost, "/_sim/limits", map[string]simulator.Limit{vendor: l})
}

// Cast has faults strike every request of an endpoint for a time.
func (p *Provider) Cast(spells ...simulator.Spell) {
	p.t.Helper()
	p.Ask(http.MethodPost, "/_sim/faults", map[string]any{"spells": spells})
}

// Submissions is the log of paid requests beyond a sequence number, refused ones
// included.
func (p *Provider) Submissions(after int) []simulator.Submission {
	p.t.Helper()
	var all []simulator.Submission
	for {
		var page []simulator.Submission
		p.Read(fmt.Sprintf("/_sim/submissions?after=%d", after), &page)
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
		after = page[len(page)-1].Seq
	}
}

// Traffic is how the limits were kept in the submissions beyond a sequence number.
func (p *Provider) Traffic(after int) simulator.Traffic {
	p.t.Helper()
	var t simulator.Traffic
	p.Read(fmt.Sprintf("/_sim/traffic?after=%d", after), &t)
	return t
}
