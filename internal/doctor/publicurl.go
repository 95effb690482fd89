package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// PublicURL is the address under which providers reach Segue.
type PublicURL struct {
	// URL is server.public_url; empty when there is none.
	URL string
	// Remote names the providers that are not on this machine, Fetching those of
	// them that fetch local files from Segue.
	Remote, Fetching []string
	// Serving says that somebody should be serving now. On an embedded Redis
	// nobody does between two commands.
	Serving bool
	// HTTP asks. It must not follow redirects: no provider does with a POST.
	HTTP *http.Client
	// Lookup finds a host's addresses; nil is the system's resolver.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
}

// receiver is what segue serve answers to a GET where it takes deliveries, at
// path: enough to tell it from anybody else, and the one path besides /staged/
// that must be led to it.
const (
	receiverPath = "/callbacks/"
	receiverSays = "deliveries are POSTed"
)

const checkPublic = "public_url"

// Examine says whether providers can reach Segue at the address, as far as that
// can be told from here.
func (p PublicURL) Examine(ctx context.Context) []Finding {
	var c chart
	switch {
	case p.URL == "" && len(p.Fetching) > 0:
		c.add(Warning, checkPublic, "server.public_url: https://… that leads to segue serve",
			"server.public_url is not set: %s cannot be given local files, only URLs, and nobody can call back", strings.Join(p.Fetching, ", "))
		return c.findings
	case p.URL == "":
		c.add(Note, checkPublic, "", "server.public_url is not set: no callbacks, polling alone does the job")
		return c.findings
	}
	u, err := url.Parse(p.URL)
	if err != nil || u.Host == "" {
		c.add(Error, checkPublic, "server.public_url: https://host", "server.public_url is no address")
		return c.findings
	}
	p.place(ctx, u, &c)
	p.ask(ctx, u, &c)
	return c.findings
}

// place judges where the address leads, without going there.
func (p PublicURL) place(ctx context.Context, u *url.URL, c *chart) {
	if len(p.Remote) == 0 {
		return // whoever runs on this machine reaches it
	}
	who := strings.Join(p.Remote, ", ")
	lookup := p.Lookup
	if lookup == nil {
		lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	addresses, err := lookup(ctx, u.Hostname())
	const cure = "server.public_url: an address that the internet can reach (a proxy with TLS, or a tunnel)"
	switch {
	case err != nil:
		c.add(Error, checkPublic, "put the name right, or its DNS record", "the name %s of server.public_url is not known here", u.Hostname())
	case slices.ContainsFunc(addresses, netip.Addr.IsLoopback):
		c.add(Error, checkPublic, cure, "server.public_url leads to this very machine: %s cannot reach it", who)
	case !slices.ContainsFunc(addresses, outside):
		c.add(Warning, checkPublic, cure, "server.public_url leads to a private network as seen from here: %s cannot reach that", who)
	}
	if u.Scheme == "http" {
		c.add(Warning, checkPublic, "server.public_url: https://… (a proxy with TLS before segue serve)",
			"server.public_url is http: files, callbacks and their secret addresses travel unencrypted")
	}
}

// outside says whether an address can be reached from the internet.
func outside(a netip.Addr) bool {
	a = a.Unmap()
	return !a.IsLoopback() && !a.IsPrivate() && !a.IsLinkLocalUnicast() && !a.IsUnspecified()
}

// ask goes to where callbacks are taken, and looks at who answers.
func (p PublicURL) ask(ctx context.Context, u *url.URL, c *chart) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(p.URL, "/")+receiverPath, http.NoBody)
	if err != nil {
		c.add(Error, checkPublic, "server.public_url: https://host", "server.public_url is no address")
		return
	}
	began := time.Now()
	response, err := p.HTTP.Do(request)
	if err != nil {
		p.silent(u, err, c)
		return
	}
	defer response.Body.Close()
	said, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil {
		p.silent(u, err, c)
		return
	}
	p.answered(u, response, string(said), time.Since(began), c)
}

func (p PublicURL) answered(u *url.URL, response *http.Response, said string, took time.Duration, c *chart) {
	switch status := response.StatusCode; {
	case status == http.StatusMethodNotAllowed && strings.Contains(said, receiverSays):
		c.ok(checkPublic, "%s leads to segue serve (answered in %s)", u.Host, took.Round(time.Millisecond))
	case status >= 300 && status < 400:
		c.add(Error, checkPublic, "server.public_url: the address that it redirects to", "%s answers with a redirect (%d to %s), which no provider follows with a callback", u.Host, status, target(response))
	case status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout:
		p.absent(c, "a proxy answers at %s, and nobody behind it (%d)", u.Host, status)
	default:
		c.add(Error, checkPublic, "let the proxy lead /callbacks/ and /staged/ to server.addr of segue serve, or put server.public_url right",
			"somebody else than segue serve answers at %s%s (%d)", u.Host, receiverPath, status)
	}
}

// target is where a redirect leads, without what may be secret in its path.
func target(response *http.Response) string {
	to, err := response.Location()
	if err != nil {
		return "nowhere"
	}
	return to.Scheme + "://" + to.Host
}

// silent judges an address where nobody answers.
func (p PublicURL) silent(u *url.URL, err error, c *chart) {
	if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); untrusted {
		c.add(Error, checkPublic, "renew the certificate, or have it made for "+u.Hostname(), "the certificate of %s is not valid, and providers refuse it too", u.Host)
		return
	}
	why := "does not answer"
	if reason, ok := errors.AsType[*net.OpError](err); ok && reason.Err != nil {
		why += ": " + reason.Err.Error()
	}
	p.absent(c, "%s %s", u.Host, why)
}

// absent says that nobody serves.
func (p PublicURL) absent(c *chart, format string, args ...any) {
	if p.Serving {
		c.add(Error, checkPublic, "start segue serve, and see the proxy, tunnel and firewall before it", format, args...)
		return
	}
	c.add(Note, checkPublic, "segue run and segue up serve it while they run; ask again then", format, args...)
}
