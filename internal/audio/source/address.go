package source

import (
	"net/url"
	"strings"
)

// address takes a URL.
func (e *expansion) address(scheme string, r row) {
	shown := withoutQuery(r.source)
	origin := r.origin
	if origin == r.source {
		origin = shown
	}
	switch strings.ToLower(scheme) {
	case "http", "https":
	case "s3":
		e.object(r)
		return
	default:
		e.fail(origin, shown, "%s:// is not supported; name a file, or an http://, https:// or s3:// URL", scheme)
		return
	}
	u, err := url.Parse(r.source)
	switch {
	case err != nil || u.Hostname() == "":
		e.fail(origin, shown, "this is not a URL")
	case u.User != nil:
		e.fail(origin, shown, "a URL with a user or password is not accepted; sign it in the query instead")
	default:
		u.Fragment, u.RawFragment = "", ""
		e.add(u.String(), Input{Source: shown, URL: u.String(), Origin: origin, Overrides: r.overrides})
	}
}

// withoutQuery shows a URL without what may be a signature or a password.
func withoutQuery(address string) string {
	head, _, signed := strings.Cut(strings.SplitN(address, "#", 2)[0], "?")
	scheme, rest, _ := strings.Cut(head, "://")
	authority, path, hasPath := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		authority = "***" + authority[at:]
	}
	shown := scheme + "://" + authority
	if hasPath {
		shown += "/" + path
	}
	if signed {
		shown += "?…"
	}
	return shown
}
