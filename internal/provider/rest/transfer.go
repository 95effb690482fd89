package rest

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// Stream makes one exchange like JSON whose request is content, as the staging
// hosts take it. It is for what costs nothing: its errors are never charged. A
// failure to read the audio has the code of the error that Content.Open or the
// reader gave, or is unavailable. Only ctx bounds it: a large file takes its time,
// and the HTTP client's timeout is meant for small exchanges.
func (c *Client) Stream(ctx context.Context, op, method, path string, content Content, out any) error {
	x := &exchange{client: c, op: op}
	req, err := x.request(ctx, method, path, nil)
	if err != nil {
		return err
	}
	body, err := content.attach(req)
	if err != nil {
		return unreadable(ctx, op, err)
	}
	resp, err := c.transport.RoundTrip(req)
	if cause := body.cause(); cause != nil {
		discard(resp)
		return unreadable(ctx, op, cause)
	}
	if err != nil {
		return x.lost(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	return x.read(ctx, resp, out)
}

// Transfer is one file on its way to a storage service, at an address that a
// provider signed.
type Transfer struct {
	// Op names the driver's method in errors.
	Op string
	// Method is PUT, or POST for a form.
	Method string
	// Address is absolute. It is the credential: it is sent, and told to nobody.
	Address string
	// Content is the body.
	Content Content
	// Table says what refusals mean, by the service's own code ("AccessDenied")
	// and by the HTTP status. The rest is as JSON has it.
	Table Table
}

// Transfer sends the file once, with no credential but what the address or the
// form holds. It is free: its errors are never charged, and hold nothing of the
// address, the form or the answer but the status and a code that the Table lists.
// Only ctx bounds it.
func (c *Client) Transfer(ctx context.Context, t Transfer) error {
	if err := c.storage(t.Address); err != nil {
		return fault.Uncharged(fault.Malformed, t.Op, err)
	}
	req, err := http.NewRequestWithContext(ctx, t.Method, t.Address, http.NoBody)
	if err != nil {
		return fault.Uncharged(fault.Malformed, t.Op, errors.New("the storage address is none"))
	}
	req.Header.Set("User-Agent", c.agent)
	body, err := t.Content.attach(req)
	if err != nil {
		return unreadable(ctx, t.Op, err)
	}
	resp, err := c.transport.RoundTrip(req)
	if cause := body.cause(); cause != nil {
		discard(resp)
		return unreadable(ctx, t.Op, cause)
	}
	if err != nil {
		code, why := classify(ctx, err)
		return fault.Uncharged(code, t.Op, fmt.Errorf("storage: %w", why))
	}
	defer discard(resp)
	if good(resp.StatusCode) {
		return nil
	}
	return t.refusal(resp)
}

// storage refuses an address that a provider would not sign: one that is none, or
// that sends the audio in the clear although the provider itself is spoken to
// over TLS.
func (c *Client) storage(address string) error {
	target, err := url.Parse(address)
	switch {
	case err != nil, target.Hostname() == "", target.User != nil, target.Scheme != "http" && target.Scheme != "https":
		return errors.New("the storage address is none")
	case c.base.Scheme == "https" && target.Scheme != "https":
		return errors.New("the storage address is not https")
	}
	return nil
}

// refusal classifies an answer of the service, whose errors are XML with a code.
func (t Transfer) refusal(resp *http.Response) error {
	var said struct {
		Code string `xml:"Code"`
	}
	// A body without a code, or that breaks off, still has its status.
	_ = xml.NewDecoder(io.LimitReader(resp.Body, maxRefusal)).Decode(&said)
	rule := t.Table.find(resp.StatusCode, said.Code)
	text := "storage: HTTP " + strconv.Itoa(resp.StatusCode)
	if _, known := t.Table[said.Code]; known {
		text += ", code " + said.Code
	}
	return &fault.Error{
		Code: rule.Code, Op: t.Op, Charge: fault.ChargeNone, Scope: rule.Scope,
		RetryAfter: retryAfter(resp.Header, time.Now()), Err: errors.New(text),
	}
}

// unreadable classifies a failure of the audio's own source. The context is asked
// first, since a reader that was canceled may say anything.
func unreadable(ctx context.Context, op string, cause error) error {
	if err := ctx.Err(); err != nil {
		code, why := classify(ctx, err)
		return fault.Uncharged(code, op, why)
	}
	if f, ok := errors.AsType[*fault.Error](cause); ok {
		return &fault.Error{Code: f.Code, Op: cmp.Or(f.Op, op), Charge: fault.ChargeNone, RetryAfter: f.RetryAfter, Err: f.Err}
	}
	return fault.Uncharged(fault.Unavailable, op, errors.New("the audio cannot be read"))
}

// discard closes an answer that says nothing more.
func discard(resp *http.Response) {
	if resp != nil {
		_ = resp.Body.Close()
	}
}

// Free is err, an error of a request that costs nothing whatever becomes of it,
// as one that surely cost nothing. Other errors and nil are returned as they are.
func Free(err error) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	free := *f
	free.Charge = fault.ChargeNone
	return &free
}
