// Package egress makes the HTTP client for URLs that come from outside: where a
// provider says that a result lies, and where a producer says that audio lies.
//
// Whoever chooses such a URL could choose one inside the operator's network (a
// cloud's metadata service, a database's admin page), so private, loopback and
// otherwise special addresses are refused unless the operator named them. The
// check is made on the address that is about to be connected to, after name
// resolution, for the first request and for every redirect: a name that resolves
// to a harmless address when looked at and to another when used gains nothing.
package egress

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// The limits of one exchange. There is no overall one, because a long file on a
// slow line is not an error: whoever reads the body bounds it by its context.
const (
	dialTimeout   = 10 * time.Second
	tlsTimeout    = 10 * time.Second
	headerTimeout = 30 * time.Second
	idleTimeout   = 90 * time.Second
	maxRedirects  = 10
)

var errRedirects = errors.New("too many redirects")

// Client returns a client that connects to public addresses only, and to what
// allow names. An entry of allow is a host ("minio"), a host and port
// ("localhost:9000", "[::1]:9000"), an address ("10.0.0.7"), or a network
// ("10.0.0.0/8"). A host entry is compared with the host of the URL and then
// trusted whatever it resolves to; an address or network entry is compared with
// the address that is connected to, whatever the URL says. An entry that is none
// of these is invalid; all such entries are reported at once.
//
// The client uses no proxy, ignores the environment, follows at most 10
// redirects without telling the next host where it came from (a Referer would
// hand a signed URL on), and waits at most 30 s for an answer's headers. It sets
// no bound on the whole exchange. It does not decompress unless the transport
// itself asked for compression: whoever wants the bytes as they are sends
// Accept-Encoding: identity.
func Client(allow []string) (*http.Client, error) {
	list, err := parse(allow)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 nil,
			DialContext:           list.dialer(),
			ForceAttemptHTTP2:     true,
			TLSHandshakeTimeout:   tlsTimeout,
			ResponseHeaderTimeout: headerTimeout,
			ExpectContinueTimeout: time.Second,
			IdleConnTimeout:       idleTimeout,
			MaxIdleConns:          64,
			MaxIdleConnsPerHost:   16,
		},
		CheckRedirect: checkRedirect,
	}, nil
}

// checkRedirect needs no look at addresses: every connection is checked where it
// is made.
func checkRedirect(next *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return errRedirects
	}
	next.Header.Del("Referer")
	return nil
}

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// dialer checks addresses in the dialer's control hook, the last place before
// the connection is made and the only one that knows the resolved address.
func (l *allowList) dialer() dialFunc {
	trusted := &net.Dialer{Timeout: dialTimeout}
	guarded := &net.Dialer{Timeout: dialTimeout, Control: l.check}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if l.names(address) {
			return trusted.DialContext(ctx, network, address)
		}
		return guarded.DialContext(ctx, network, address)
	}
}

// allowList is the operator's exceptions.
type allowList struct {
	hosts     map[string]bool // "minio" or "minio:9000", lower case
	endpoints map[netip.AddrPort]bool
	guardian  *ssrf.Guardian
}

// names reports whether the host of an address to dial was allowed by name.
func (l *allowList) names(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	host = canonical(host)
	return l.hosts[host] || l.hosts[net.JoinHostPort(host, port)]
}

// check refuses an address that is neither public nor allowed.
func (l *allowList) check(network, address string, conn syscall.RawConn) error {
	endpoint, err := netip.ParseAddrPort(address)
	if err == nil && l.endpoints[netip.AddrPortFrom(endpoint.Addr().Unmap(), endpoint.Port())] {
		return nil
	}
	return l.guardian.Safe(network, address, conn)
}

// canonical gives the form of a host name that is compared: names are equal in
// any case and with or without the root's dot.
func canonical(host string) string {
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
