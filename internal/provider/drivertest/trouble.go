package drivertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// trouble is one thing that goes wrong on the wire, and what a driver must make
// of it.
type trouble struct {
	name string
	// refused says that no connection comes about.
	refused bool
	// answer replaces the fake's; nil leaves it.
	answer func(w *Wire, rw http.ResponseWriter, r *http.Request)
	// codes lists the codes that a driver may give.
	codes  []fault.Code
	charge fault.Charge
	scope  fault.Scope
	after  time.Duration
}

const page = "<!DOCTYPE html><html><head><title>Oops</title></head><body>"

func codes(list ...fault.Code) []fault.Code { return list }

// troubles are the ones that every driver meets. "Billed" means that the fake
// saw the request and what it answered was lost.
func troubles(h *Harness) []trouble {
	lost, garbled := codes(fault.Unavailable), codes(fault.Malformed)
	either := codes(fault.Malformed, fault.Unavailable)
	list := []trouble{
		{name: "connection refused", refused: true, codes: lost, charge: fault.ChargeNone},
		{name: "closed before it was billed", answer: closeUnbilled, codes: lost},
		{name: "closed after it was billed", answer: closeBilled, codes: lost},
		{name: "reset after it was billed", answer: resetBilled, codes: lost},
		{name: "billed, then 500", answer: billedThen(500, echo), codes: lost},
		{name: "billed, then 502 in HTML", answer: billedThen(502, echoPage), codes: lost},
		{name: "billed, then 503", answer: billedThen(503, fixed("")), codes: lost},
		{name: "billed, then 504 in HTML", answer: billedThen(504, echoPage), codes: codes(fault.Unavailable, fault.Timeout)},
		{name: "billed, then an unheard-of 5xx", answer: billedThen(597, fixed("")), codes: lost},
		{name: "billed, then HTML", answer: billedThen(200, echoPage), codes: garbled},
		{name: "billed, then nothing", answer: billedThen(200, fixed("")), codes: garbled},
		{name: "billed, then 204", answer: billedThen(204, fixed("")), codes: garbled},
		{name: "billed, then null", answer: billedThen(200, fixed("null")), codes: garbled},
		{name: "billed, then {}", answer: billedThen(200, fixed("{}")), codes: garbled},
		{name: "billed, then []", answer: billedThen(200, fixed("[]")), codes: garbled},
		{name: "billed, then an echo", answer: billedThen(200, echo), codes: garbled},
		{name: "billed, then half of the JSON", answer: halfOfJSON, codes: garbled},
		{name: "billed, then half of the bytes", answer: halfOfBytes, codes: either},
		{name: "billed, then sent elsewhere with 302", answer: billedThen(302, echoPage), codes: garbled},
		{name: "billed, then sent elsewhere with 307", answer: billedThen(307, fixed("")), codes: garbled},
	}
	return slices.Concat(list, refusals(h))
}

// refusals are the typed answers that are never billed: they come in the fake's
// place.
func refusals(h *Harness) []trouble {
	list := []trouble{
		{name: "401", answer: respond(401, "", echo), codes: codes(fault.Denied), charge: fault.ChargeNone, scope: fault.ScopeAccount},
		{name: "402", answer: respond(402, "", echo), codes: codes(fault.Exhausted), charge: fault.ChargeNone, scope: fault.ScopeAccount},
		{name: "422", answer: respond(422, "", echo), codes: codes(fault.Invalid), charge: fault.ChargeNone},
		{
			name: "429", answer: respond(429, "7", echoPage), codes: codes(fault.Exhausted),
			charge: fault.ChargeNone, scope: fault.ScopeEndpoint, after: 7 * time.Second,
		},
		{name: "455", answer: respond(455, "", echo), codes: codes(fault.Unavailable), charge: fault.ChargeNone, scope: fault.ScopeProvider},
	}
	own := make([]trouble, 0, len(h.Refusals))
	for _, r := range h.Refusals {
		own = append(own, trouble{
			name: r.Name, answer: respond(r.Status, r.RetryAfter, fixed(r.Body)), codes: codes(r.Code),
			charge: fault.ChargeNone, scope: r.Scope, after: r.After,
		})
	}
	return slices.Concat(list, own)
}

// respond answers in the fake's place.
func respond(status int, retryAfter string, body func(*http.Request) string) func(*Wire, http.ResponseWriter, *http.Request) {
	return func(w *Wire, rw http.ResponseWriter, r *http.Request) {
		text := body(r)
		if retryAfter != "" {
			rw.Header().Set("Retry-After", retryAfter)
		}
		if status/100 == 3 {
			rw.Header().Set("Location", w.base+"/elsewhere")
		}
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, text)
	}
}

// billedThen lets the fake see the request, and answers otherwise.
func billedThen(status int, body func(*http.Request) string) func(*Wire, http.ResponseWriter, *http.Request) {
	answer := respond(status, "", body)
	return func(w *Wire, rw http.ResponseWriter, r *http.Request) {
		again := rewind(r)
		w.bill(r)
		answer(w, rw, again)
	}
}

// bill gives the request to the fake and returns what it would have answered.
func (w *Wire) bill(r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.fake.ServeHTTP(rec, r)
	return rec
}

// rewind reads the body of r and returns a copy of r that has it, too.
func rewind(r *http.Request) *http.Request {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	again := r.Clone(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(body))
	return again
}

func fixed(body string) func(*http.Request) string {
	return func(*http.Request) string { return body }
}

// echo is a JSON answer that repeats the whole request in every field that a
// driver might take for a message.
func echo(r *http.Request) string {
	said := repeat(r)
	text, err := json.Marshal(map[string]any{"message": said, "msg": said, "error": said, "detail": []string{said}})
	if err != nil {
		panic(err)
	}
	return string(text)
}

func echoPage(r *http.Request) string { return page + repeat(r) + "</body></html>" }

func repeat(r *http.Request) string {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "refused: %s %s with", r.Method, r.URL)
	for name, values := range r.Header {
		fmt.Fprintf(&b, " %s: %s;", name, strings.Join(values, ", "))
	}
	return b.String() + " " + string(body)
}

func closeUnbilled(_ *Wire, rw http.ResponseWriter, r *http.Request) {
	rewind(r)
	hangUp(rw, false)
}

func closeBilled(w *Wire, rw http.ResponseWriter, r *http.Request) {
	w.bill(r)
	hangUp(rw, false)
}

func resetBilled(w *Wire, rw http.ResponseWriter, r *http.Request) {
	w.bill(r)
	hangUp(rw, true)
}

func hangUp(rw http.ResponseWriter, reset bool) {
	conn, _, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		panic(err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// halfOfJSON ends well as HTTP and badly as JSON.
func halfOfJSON(w *Wire, rw http.ResponseWriter, r *http.Request) {
	rec := w.bill(r)
	rw.WriteHeader(rec.Code)
	_, _ = rw.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
}

// halfOfBytes breaks off below the length that it announced.
func halfOfBytes(w *Wire, rw http.ResponseWriter, r *http.Request) {
	rec := w.bill(r)
	rw.Header().Set("Content-Length", strconv.Itoa(rec.Body.Len()))
	rw.WriteHeader(rec.Code)
	_, _ = rw.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
	panic(http.ErrAbortHandler)
}

// stall reads the request and says nothing until the caller has gone.
func stall(w *Wire, _ http.ResponseWriter, r *http.Request) {
	rewind(r)
	w.stalled <- struct{}{}
	select {
	case <-r.Context().Done():
	case <-w.released:
	}
}

// endless begins an answer with what could become JSON, and goes on for bytes.
func endless(status, size int) func(*Wire, http.ResponseWriter, *http.Request) {
	return func(_ *Wire, rw http.ResponseWriter, r *http.Request) {
		rewind(r)
		rw.WriteHeader(status)
		_, err := io.WriteString(rw, `{"message":"`)
		for chunk := bytes.Repeat([]byte("x"), 64<<10); size > 0 && err == nil; size -= len(chunk) {
			_, err = rw.Write(chunk)
		}
	}
}

// rewrite changes the fake's own answer.
func rewrite(edit func([]byte) []byte) func(*Wire, http.ResponseWriter, *http.Request) {
	return func(w *Wire, rw http.ResponseWriter, r *http.Request) {
		rec := w.bill(r)
		rw.WriteHeader(rec.Code)
		_, _ = rw.Write(edit(rec.Body.Bytes()))
	}
}
