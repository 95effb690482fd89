// Package rest is the HTTP kit of the drivers: one JSON exchange with a
// provider, classified.
//
// Four promises make it more than a wrapper around net/http:
//
//   - A request with a body leaves this process at most once. Nothing here
//     retries or follows a redirect, and the transport's own replay of a request
//     that met a stale connection is refused (see onceBody).
//   - A request with a body does not leave after its context's deadline, also when
//     the process or the machine slept through it (see fence).
//   - The Charge of an error is fault.ChargeNone only with evidence: the body was
//     never handed to the wire, or the provider's answer is listed as a refusal in
//     the driver's Table. Everything else is fault.ChargeUnknown.
//   - No error holds the credential, a URL, or what the provider echoed.
//
// A request without a body is free by definition: none of the providers lets one
// order anything without saying what. Its errors are never charged.
package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// DefaultUserAgent is sent where Options names none. The hosts of one provider
// refuse the clients that call themselves by the name of an HTTP library
// (Cloudflare's "error code: 1010"), hence the customary first word.
const DefaultUserAgent = "Mozilla/5.0 (compatible; Segue; +https://github.com/segue-audio/segue)"

// Options is what a Client is made of.
type Options struct {
	// Op names the opener in errors, as package.Function.
	Op string
	// Base is the absolute address that the paths of JSON extend. It may have a
	// path of its own, but no user, query or fragment.
	Base string
	// Auth is the credential and the header that carries it.
	Auth Auth
	// HTTP sends the requests; only its Transport and Timeout are used. The
	// transport must not retry; where there is none, one of Transport is made.
	HTTP *http.Client
	// Envelope says where an answer's body carries the provider's own verdict.
	Envelope Envelope
	// Table says what the provider's refusals mean.
	Table Table
	// UserAgent replaces DefaultUserAgent.
	UserAgent string
}

// Client speaks JSON with one host under one credential. It is safe for
// concurrent use.
type Client struct {
	base      *url.URL
	auth      Auth
	transport http.RoundTripper
	timeout   time.Duration
	envelope  Envelope
	table     Table
	agent     string
	now       clock
}

// New checks the options. What is wrong with them is fault.Invalid, uncharged,
// and the error repeats neither the address nor the credential.
func New(o Options) (*Client, error) {
	base, err := parseBase(o.Base)
	if err != nil {
		return nil, fault.Uncharged(fault.Invalid, o.Op, err)
	}
	if err := o.Auth.check(); err != nil {
		return nil, fault.Uncharged(fault.Invalid, o.Op, err)
	}
	if o.HTTP == nil {
		return nil, fault.Uncharged(fault.Invalid, o.Op, errors.New("no HTTP client was given"))
	}
	c := &Client{
		base: base, auth: o.Auth, transport: o.HTTP.Transport, timeout: o.HTTP.Timeout,
		envelope: o.Envelope, table: o.Table, agent: o.UserAgent, now: readClocks,
	}
	if c.transport == nil {
		c.transport = Transport()
	}
	if c.agent == "" {
		c.agent = DefaultUserAgent
	}
	return c, nil
}

func parseBase(text string) (*url.URL, error) {
	base, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("the base URL is not a URL")
	case base.Scheme != "http" && base.Scheme != "https", base.Hostname() == "":
		return nil, errors.New("the base URL must begin with http:// or https:// and name a host")
	case base.User != nil, base.RawQuery != "", base.ForceQuery, base.Fragment != "":
		return nil, errors.New("the base URL must not have a user, a query or a fragment")
	}
	return base, nil
}

// JSON makes one exchange: it sends in as JSON (nil sends no body) to path, which
// is relative to the base and may have a query, and decodes a good answer into
// out (nil ignores it). Unknown fields are ignored; what must be there, the
// driver checks. op names the driver's method in errors.
//
// Every error is a *fault.Error:
//
//	canceled, timeout  the context ended, or the HTTP client's timeout passed; not
//	                   charged when the fence kept the request back
//	unavailable        no connection, a connection lost, a 5xx
//	malformed          an answer that is not the JSON asked for, a redirect, an
//	                   unlisted verdict in the body
//	invalid            in cannot be written as JSON; an unlisted 4xx
//	others             as the Table says
func (c *Client) JSON(ctx context.Context, op, method, path string, in, out any) error {
	if c.timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, c.timeout)
		defer stop()
	}
	x := &exchange{client: c, op: op}
	req, err := x.request(ctx, method, path, in)
	if err != nil {
		return err
	}
	// The transport is called without http.Client around it: the client's part
	// is redirects and cookies, and a redirect asks for the body a second time.
	resp, err := c.transport.RoundTrip(req)
	if x.late() {
		discard(resp)
		return x.fail(fault.Timeout, errLate)
	}
	if err != nil {
		return x.lost(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }() // nothing was promised that a failed close could break
	return x.read(ctx, resp, out)
}

// exchange is one request on its way.
type exchange struct {
	client *Client
	op     string
	sent   []byte
	body   *onceBody
}

func (x *exchange) request(ctx context.Context, method, path string, in any) (*http.Request, error) {
	target, err := x.client.resolve(path)
	if err != nil {
		return nil, fault.Uncharged(fault.Internal, x.op, err)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, http.NoBody)
	if err != nil {
		return nil, fault.Uncharged(fault.Internal, x.op, errors.New("the request cannot be built"))
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", x.client.agent)
	x.client.auth.apply(req.Header)
	if in == nil {
		return req, nil
	}
	if x.sent, err = encode(in); err != nil {
		return nil, fault.Uncharged(fault.Invalid, x.op, fmt.Errorf("the request cannot be written as JSON: %w", err))
	}
	x.body = newOnceBody(x.sent, newFence(ctx, x.client.now))
	x.body.leave = func() error { return provider.Leave(ctx) }
	req.Header.Set("Content-Type", "application/json")
	req.Body, req.ContentLength, req.GetBody = x.body, int64(len(x.sent)), x.body.again
	return req.WithContext(httptrace.WithClientTrace(ctx, x.body.trace())), nil
}

// resolve joins path to the base, keeping the base's own path.
func (c *Client) resolve(path string) (string, error) {
	ref, err := url.Parse(path)
	if err != nil || ref.IsAbs() || ref.Host != "" {
		return "", errors.New("the path is not a relative URL")
	}
	target := c.base.JoinPath(ref.EscapedPath())
	target.RawQuery = ref.RawQuery
	return target.String(), nil
}

// encode leaves <, > and & as they are: the addresses of audio are full of them,
// and not every server undoes the escapes that encoding/json makes by default.
func encode(in any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(in); err != nil {
		return nil, err
	}
	return bytes.TrimRight(buf.Bytes(), "\n"), nil
}

// charge is what may be said when there is no answer that says more.
func (x *exchange) charge() fault.Charge {
	if x.body == nil || x.body.withheld() {
		return fault.ChargeNone
	}
	return fault.ChargeUnknown
}

// late says that the fence stopped the request. Whatever came back is no answer
// to it then.
func (x *exchange) late() bool { return x.body != nil && x.body.stopped() }

func (x *exchange) fail(code fault.Code, err error) *fault.Error {
	return &fault.Error{Code: code, Op: x.op, Charge: x.charge(), Err: err}
}

// Clean makes a provider's text fit for an error: it drops addresses, long
// tokens and every word that holds a piece of the credential, and cuts the rest
// to one short line.
func (c *Client) Clean(text string) string { return clean(text, c.auth.key, "") }
