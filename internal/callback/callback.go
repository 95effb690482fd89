// Package callback receives what providers report about operations.
//
// The receiver only receives: it verifies a delivery, stores it, answers, and
// wakes the poll that was going to ask anyway. A delivery is never a result. Not
// even a signed one: KIE's signature covers the task's id and a time, and not the
// body, so whoever has seen one delivery could write another.
//
// Every item, step and generation has a URL of its own with a token that only
// its provider is told. That makes a delivery evidence of one thing: a request
// whose answer was lost was accepted, and as which operation.
package callback

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/queue"
	"github.com/segue-audio/segue/internal/session"
)

// Prefix is the path below which providers deliver: Prefix + provider/token.
const Prefix = "/callbacks/"

// maxBody is the largest delivery that is read, in bytes. KIE's are a few KB.
const maxBody = 1 << 20

// URL is where a provider reports under a token. publicURL is what it can reach.
func URL(publicURL, providerName, token string) string {
	return strings.TrimSuffix(publicURL, "/") + Prefix + providerName + "/" + token
}

// Receiver takes deliveries. All fields must be set.
type Receiver struct {
	Store    *session.Store
	Queue    *queue.Queue
	Accounts *account.Pool
	// Adopt makes use of a report that names an operation which an item in doubt may
	// be waiting for, or which may not be on record.
	Adopt func(ctx context.Context, report *session.Report, it *session.Item) error
	Log   *slog.Logger
}

// ServeHTTP takes one delivery at Prefix + provider/token. What it answers tells
// the provider whether to deliver again:
//
//	200  stored, now or before
//	400  not a callback; 401 not signed as it must be: the same will come again
//	404  nobody expects it
//	413  too large
//	503  it could not be stored: deliver it again
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "deliveries are POSTed", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if err != nil {
		http.Error(w, "the delivery is too large, or was cut off", http.StatusRequestEntityTooLarge)
		return
	}
	providerName, token, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, Prefix), "/")
	d := &delivery{receiver: r, provider: providerName, header: req.Header, body: body}
	err = d.receive(req.Context(), token)
	r.log(req.Context(), d, err)
	status := statusOf(err)
	if status != http.StatusOK {
		http.Error(w, http.StatusText(status), status)
		return
	}
	// The answer first: a provider that waits counts us as down.
	w.WriteHeader(status)
	if flusher, ok := w.(http.Flusher); ok {
		flusher.Flush()
	}
	if err := d.act(context.WithoutCancel(req.Context())); err != nil {
		r.Log.WarnContext(req.Context(), "delivery stored, poll not woken", slog.String("cause", err.Error()))
	}
}

// delivery is one callback on its way through.
type delivery struct {
	receiver *Receiver
	provider string
	header   http.Header
	body     []byte

	about session.Ref
	said  *provider.Callback
	kept  *session.Report
}

// receive verifies and stores.
func (d *delivery) receive(ctx context.Context, token string) error {
	const op = "callback.receive"
	about, err := d.receiver.Store.Expected(ctx, token)
	if err != nil {
		return err
	}
	d.about = about
	work, err := d.receiver.Store.Load(ctx, about.Session, about.Index)
	if err != nil {
		return err
	}
	if work.Session.Provider != d.provider {
		return fault.New(fault.NotFound, op, errors.New("the token is another provider's"))
	}
	acc, err := d.receiver.Accounts.Get(work.Session.Provider, work.Session.Account)
	if err != nil {
		return fault.New(fault.Unavailable, op, err)
	}
	reader, ok := acc.Driver.(provider.CallbackReader)
	if !ok {
		return fault.New(fault.NotFound, op, errors.New("this provider makes no callbacks"))
	}
	if d.said, err = reader.ReadCallback(d.header, d.body, work.Now); err != nil {
		return err
	}
	d.kept, err = d.receiver.Store.Report(ctx, about, session.Report{
		Operation: d.said.OperationID, Kind: d.said.Kind, Done: d.said.Done,
	})
	return err
}

// act makes use of what was stored: it settles a held item, and wakes the poll of
// an operation that is reported to have ended.
func (d *delivery) act(ctx context.Context) error {
	work, err := d.receiver.Store.Load(ctx, d.about.Session, d.about.Index)
	if err != nil {
		return err
	}
	it := &work.Item
	switch {
	case !d.kept.About(it) || it.State.InDoubt():
		// In doubt, it names what the lost answer would have named. Late or doubled, it
		// names what is on record; or else something that was paid for unnoticed.
		return d.receiver.Adopt(ctx, d.kept, it)
	case it.State != session.Waiting || !d.said.Done:
		return nil
	}
	task, ok, err := session.Next(it)
	if err != nil || !ok {
		return err
	}
	return d.receiver.Queue.Wake(task)
}

// statusOf is the answer to a delivery.
func statusOf(err error) int {
	switch fault.CodeOf(err) {
	case "":
		return http.StatusOK
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Denied:
		return http.StatusUnauthorized
	case fault.Invalid, fault.Malformed:
		return http.StatusBadRequest
	case fault.Rejected, fault.Conflict, fault.Exhausted, fault.Unavailable, fault.Timeout, fault.Pending, fault.Canceled, fault.Internal:
	}
	return http.StatusServiceUnavailable
}

// log writes one line for a delivery: never its token, never its body.
func (r *Receiver) log(ctx context.Context, d *delivery, err error) {
	attrs := []slog.Attr{slog.String("provider", d.provider)}
	if d.about.Session != "" {
		attrs = append(attrs, slog.String("item", session.ItemID(d.about.Session, d.about.Index)))
	}
	if d.said != nil {
		attrs = append(attrs, slog.String("operation", d.said.OperationID), slog.String("kind", d.said.Kind), slog.Bool("signed", d.said.Signed))
	}
	level := slog.LevelInfo
	if err != nil {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("code", string(fault.CodeOf(err))), slog.String("reason", fault.Reason(err)))
	}
	r.Log.LogAttrs(ctx, level, "callback", attrs...)
}
