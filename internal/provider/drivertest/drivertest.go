// Package drivertest is the conformance suite of the drivers: it holds a driver
// to the promises that package provider states, over real HTTP on the loopback
// interface.
//
// A driver's test brings a fake of its provider. The suite puts a Wire between
// the two, and it is the wire that makes trouble: it refuses connections, drops
// them before and after the fake has billed, answers in the fake's place with
// errors, HTML and halves of answers, stalls, and rewrites good answers into
// subtly wrong ones. So a fake needs no faults of its own, and every driver meets
// the same ones.
//
// A driver's whole conformance test:
//
//	func TestConformance(t *testing.T) {
//		drivertest.Run(t, func(tb testing.TB, w *drivertest.Wire) *drivertest.Harness {
//			fake := newFake(tb)
//			base := w.Serve(fake)
//			driver, err := acme.Open(provider.Config{BaseURL: base, APIKey: key, HTTP: w.Client()})
//			…
//			return &drivertest.Harness{Driver: driver, …}
//		})
//	}
package drivertest

import (
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// Open makes a driver and a fake of its provider, wired through w. It is called
// many times and registers what it starts with tb.Cleanup.
type Open func(tb testing.TB, w *Wire) *Harness

// Harness is one driver wired to a fake of its provider.
type Harness struct {
	// Driver was opened with Wire.Client and the base URL that Wire.Serve gave.
	Driver provider.Driver
	// Info is what the registry says of the driver.
	Info provider.Info
	// APIKey is the credential that the driver was opened with, 12 characters or
	// more. It must never appear in an error, whole or in halves.
	APIKey string
	// Upload makes a new request for audio that the fake can use. Where the audio
	// has a URL, it should have a query as signed ones have: the values are taken
	// for secrets, and are the same in every request.
	Upload func() *provider.Upload
	// Broken makes a request that the fake accepts and whose operation then
	// fails; nil when it has none.
	Broken func() *provider.Upload
	// Params is a valid way to continue that audio.
	Params provider.Params
	// Charges gives the number of requests that the fake has billed so far.
	Charges func() int
	// Settle makes every operation of the fake end; it is safe for concurrent
	// use. Nil when operations end by themselves within a second or two.
	Settle func()
	// Now is the fake's clock, by which the books are asked for; nil is time.Now.
	Now func() time.Time
	// NoBalance says that the provider documents no way to ask for the balance:
	// Credits is then always not_found, and sends nothing.
	NoBalance bool
	// Secrets are more of what no error may tell, such as the signatures that the
	// fake puts into the addresses that it hands out.
	Secrets []string
	// Refusals are more of the provider's typed refusals, such as those that it
	// puts into the body of an HTTP 200. The suite brings the plain HTTP ones: 401,
	// 402, 422, 429 and 455.
	Refusals []Refusal
}

// Refusal is an answer by which the provider declines a request, and what a
// driver must make of it. No refusal is ever charged.
type Refusal struct {
	// Name is for messages.
	Name string
	// Status, RetryAfter (the header; empty sends none) and Body are the answer.
	Status     int
	RetryAfter string
	Body       string
	// Code, Scope and After are what the error must say.
	Code  fault.Code
	Scope fault.Scope
	After time.Duration
}

// check is one promise, held to account.
type check struct {
	name string
	run  func(tb testing.TB, open Open)
}

func checks() []check {
	return []check{
		{"info", checkInfo},
		{"chain", checkChain},
		{"failed operation", checkFailedOperation},
		{"session", checkSession},
		{"free upload", checkFreeUpload},
		{"submit is sent once", checkSentOnce},
		{"submit tells its charge", checkCharge},
		{"submit tells its code", checkSubmitCodes},
		{"submit obeys its context", checkSubmitContext},
		{"poll repeats", checkPollRepeats},
		{"poll tells its code", checkPollCodes},
		{"poll obeys its context", checkPollContext},
		{"poll knows no unknown word", checkUnknownWord},
		{"poll wants results", checkMissingResults},
		{"poll of an unknown operation", checkUnknownOperation},
		{"credits", checkCredits},
		{"books", checkBooks},
		{"secrets", checkSecrets},
		{"reading is bounded", checkBoundedReading},
		{"concurrent use", checkConcurrentUse},
		{"goroutines", checkGoroutines},
	}
}

// Run holds the driver to every promise, one subtest each. It looks for leaked
// goroutines, so neither it nor a test beside it may be parallel.
func Run(t *testing.T, open Open) {
	t.Helper()
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) { c.run(t, open) })
	}
}

// start opens a harness behind a new wire.
func start(tb testing.TB, open Open) (*Harness, *Wire) {
	tb.Helper()
	w := newWire(tb)
	h := open(tb, w)
	switch {
	case w.fake == nil:
		tb.Fatal("drivertest: Open did not call Wire.Serve")
	case h == nil || h.Driver == nil || h.Upload == nil || h.Charges == nil:
		tb.Fatal("drivertest: the harness needs a Driver, Upload and Charges")
	case len(h.APIKey) < 12:
		tb.Fatal("drivertest: the harness needs an APIKey of 12 characters or more, or its traces cannot be told from words")
	}
	return h, w
}
