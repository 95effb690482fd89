package egress

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"code.dny.dev/ssrf"

	"github.com/segue-audio/segue/internal/fault"
)

// parse reads the operator's entries and reports all that are wrong at once.
func parse(entries []string) (*allowList, error) {
	list := &allowList{hosts: map[string]bool{}, endpoints: map[netip.AddrPort]bool{}}
	var v4, v6 []netip.Prefix
	var findings []error
	for _, entry := range entries {
		prefix, err := list.add(strings.TrimSpace(entry))
		switch {
		case err != nil:
			findings = append(findings, err)
		case !prefix.IsValid():
		case prefix.Addr().Is4():
			v4 = append(v4, prefix)
		default:
			v6 = append(v6, prefix)
		}
	}
	if len(findings) > 0 {
		return nil, fault.Uncharged(fault.Invalid, "egress.Client", errors.Join(findings...))
	}
	// Any port: what may be reached is decided by address, and content networks
	// serve on odd ports.
	list.guardian = ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	return list, nil
}

// add files one entry as a host or an endpoint, or returns the network it means.
func (l *allowList) add(entry string) (netip.Prefix, error) {
	if strings.Contains(entry, "/") {
		prefix, err := netip.ParsePrefix(entry)
		if err != nil {
			return netip.Prefix{}, malformed(entry)
		}
		return prefix.Masked(), nil
	}
	if addr, ok := address(entry); ok {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	host, port, err := net.SplitHostPort(entry)
	if err != nil {
		return netip.Prefix{}, l.addHost(entry, entry)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return netip.Prefix{}, malformed(entry)
	}
	if addr, ok := address(host); ok {
		l.endpoints[netip.AddrPortFrom(addr, uint16(number))] = true
		return netip.Prefix{}, nil
	}
	return netip.Prefix{}, l.addHost(entry, host)
}

// addHost files entry, whose host part is host.
func (l *allowList) addHost(entry, host string) error {
	if !isHostName(canonical(host)) {
		return malformed(entry)
	}
	rest := strings.TrimPrefix(entry, host)
	l.hosts[canonical(host)+rest] = true
	return nil
}

// address reads a literal address, with or without brackets.
func address(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, false
	}
	return addr.Unmap(), true
}

func isHostName(host string) bool {
	if host == "" || len(host) > 253 {
		return false
	}
	return strings.IndexFunc(host, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= '0' && r <= '9'
		return !letter && r != '-' && r != '.' && r != '_'
	}) < 0
}

func malformed(entry string) error {
	return fmt.Errorf("%q is no host, host:port, address or network (write minio, localhost:9000, 10.0.0.7 or 10.0.0.0/8)", entry)
}
