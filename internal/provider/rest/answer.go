package rest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// How much of an answer is read. A good answer that is longer is malformed; of a
// bad one the beginning is enough.
const (
	maxAnswer  = 4 << 20
	maxRefusal = 64 << 10
)

// read turns the answer into out or into an error.
func (x *exchange) read(ctx context.Context, resp *http.Response, out any) error {
	if !good(resp.StatusCode) {
		// A refusal whose body breaks off still has its status.
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
		return x.refusal(resp, x.client.envelope.read(body))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return x.brokenOff(ctx, err)
	}
	if len(body) > maxAnswer {
		return x.fail(fault.Malformed, fmt.Errorf("HTTP %d with more than %d bytes", resp.StatusCode, maxAnswer))
	}
	if v := x.client.envelope.read(body); x.client.envelope.refused(v) {
		return x.refusal(resp, v)
	}
	if err := decode(body, out); err != nil {
		return x.fail(fault.Malformed, fmt.Errorf("HTTP %d %w", resp.StatusCode, err))
	}
	return nil
}

// refusal classifies an answer that is not a success.
func (x *exchange) refusal(resp *http.Response, v verdict) error {
	envelope := x.client.envelope
	if !envelope.refused(v) {
		v = verdict{} // an error status that wraps a success: the status is all that is sure
	}
	rule := x.client.table.find(resp.StatusCode, v.code)
	if x.body == nil {
		rule.Charge = fault.ChargeNone
	}
	text := "HTTP " + strconv.Itoa(resp.StatusCode)
	if v.code != "" {
		text += ", code " + clean(v.code, x.client.auth.key, string(x.sent))
	}
	if rule.Why != "" {
		text += ": " + rule.Why
	}
	if message := clean(v.message, x.client.auth.key, string(x.sent)); message != "" && tells(rule.Code) {
		text += ": " + message
	}
	return &fault.Error{
		Code: rule.Code, Op: x.op, Charge: rule.Charge, Scope: rule.Scope,
		RetryAfter: cmp.Or(retryAfter(resp.Header, time.Now()), rule.After), Err: errors.New(text),
	}
}

// tells says whether a person needs the provider's own words to mend the
// request. Elsewhere the code says it all, and the less is repeated the better:
// it is answers to bad credentials that quote credentials.
func tells(code fault.Code) bool {
	return code == fault.Invalid || code == fault.Rejected || code == fault.NotFound || code == fault.Conflict
}

// decode reads a good answer. Its errors tell the shape, never the content.
func decode(body []byte, out any) error {
	trimmed := bytes.TrimSpace(body)
	switch {
	case len(trimmed) == 0 && out != nil:
		return errors.New("with an empty body")
	case out == nil:
		return nil
	case trimmed[0] == '<':
		return fmt.Errorf("with %d bytes of HTML or XML, not JSON", len(body))
	case trimmed[0] != '{' && trimmed[0] != '[':
		return fmt.Errorf("with %d bytes that are neither a JSON object nor a list", len(body))
	}
	err := json.Unmarshal(trimmed, out)
	var mismatch *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &mismatch):
		return fmt.Errorf("where the field %q has another type", mismatch.Field)
	}
	return fmt.Errorf("with %d bytes of broken JSON", len(body))
}
