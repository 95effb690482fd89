package all

import (
	"errors"
	"net/url"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/mountsea"
)

// simName is the driver of Segue's own simulated provider. It is MountSea's
// driver to the letter: what is rehearsed against the simulator is the code that
// spends money later. Only its name differs, so that nobody takes a simulated
// account for a real one, and it has no documented host.
const simName = "sim"

// simCredits is the path, on the simulator's host, that stands for MountSea's
// second host.
const simCredits = "/mountsea-credits"

func simInfo() provider.Info {
	info := mountsea.Info()
	info.Name, info.BaseURL = simName, ""
	return info
}

// openSim insists on a base URL: MountSea's own default would turn a rehearsal
// into a bill. For the same reason the credits host is the simulator's too.
func openSim(c provider.Config) (provider.Driver, error) {
	base, err := url.Parse(c.BaseURL)
	if err != nil || base.Host == "" {
		return nil, fault.Uncharged(fault.Invalid, "sim.Open", errors.New("the simulated provider needs its base URL, as http://127.0.0.1:4100/mountsea"))
	}
	if c.CreditsURL == "" {
		c.CreditsURL = (&url.URL{Scheme: base.Scheme, Host: base.Host, Path: simCredits}).String()
	}
	return mountsea.Open(c)
}
