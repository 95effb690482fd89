package kie_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/kie"
	"github.com/segue-audio/segue/internal/provider/rest"
)

const (
	key    = "kie-4f3e2d1c0b9a8877"
	taskID = "5c79abcd1234567890abcdef1234be8e"
)

// entry is what a provider brings to the registry.
type entry func() (provider.Info, provider.Open)

// family are the three by name.
var family = map[string]entry{"kie": kie.KIE, "apikley": kie.Apikley, "sunoapi": kie.SunoAPI}

func info(e entry) provider.Info {
	i, _ := e()
	return i
}

// answer is what a route says.
type answer struct {
	status int
	body   string
}

// asked is a request as it arrived.
type asked struct {
	Route, Auth, Body string
}

// serve answers by route and keeps what was asked. A route that is not listed
// fails the test.
func serve(t *testing.T, e entry, options map[string]string, routes map[string]answer) (provider.Driver, *[]asked) {
	t.Helper()
	got := &[]asked{}
	base, client := host(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		route := r.Method + " " + r.URL.RequestURI()
		*got = append(*got, asked{route, r.Header.Get("Authorization"), string(body)})
		a, ok := routes[route]
		if !ok {
			t.Errorf("unexpected request %s", route)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	})
	return open(t, e, provider.Config{BaseURL: base, APIKey: key, Options: options, HTTP: client}, base), got
}

// host serves on a loopback port.
func host(t *testing.T, handler http.HandlerFunc) (string, *http.Client) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	tr := rest.Transport()
	t.Cleanup(tr.CloseIdleConnections)
	return server.URL, &http.Client{Transport: tr}
}

// open makes a driver whose files lie below /files, where it has a file host.
func open(t testing.TB, e entry, c provider.Config, base string) provider.Driver {
	t.Helper()
	i, opener := e()
	if i.Uploads.By == provider.ByBytes {
		c.StagingURL = base + "/files"
	}
	d, err := opener(c)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return d
}

// fields is what a handler acts on.
type fields struct {
	Code   fault.Code
	Charge fault.Charge
	Scope  fault.Scope
}

func of(err error) fields {
	var f *fault.Error
	if !errors.As(err, &f) {
		return fields{}
	}
	return fields{f.Code, f.Charge, f.Scope}
}
