package all_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/all"
)

func TestProviders(t *testing.T) {
	r := all.Providers()
	if diff := cmp.Diff([]string{"apikley", "kie", "kkiai", "mountsea", "sim", "sunoapi"}, r.Names()); diff != "" {
		t.Errorf("drivers (-want +got):\n%s", diff)
	}
	hosts := map[string]string{
		"apikley": "https://api.apikley.ru", "kie": "https://api.kie.ai", "kkiai": "https://www.kkiai.com", "mountsea": "https://api.mountsea.ai", "sim": "", "sunoapi": "https://api.sunoapi.org",
	}
	for name, want := range hosts {
		info, err := r.Info(name)
		if err != nil || info.Name != name || info.BaseURL != want {
			t.Errorf("Info(%q) = name %q, base URL %q, %v; want base URL %q", name, info.Name, info.BaseURL, err, want)
		}
	}
	if _, err := r.Info("kei"); fault.CodeOf(err) != fault.Invalid {
		t.Errorf("Info of an unknown driver: %v, want invalid", err)
	}
	if _, err := r.Open("kei", provider.Config{}); fault.CodeOf(err) != fault.Invalid {
		t.Errorf("Open of an unknown driver: %v, want invalid", err)
	}
}

// TestEvidence writes down what the documents say, and what was assumed where
// they are silent: a number that shrinks here lets a paid request be sent again
// sooner.
func TestEvidence(t *testing.T) {
	family := provider.Evidence{Callback: 32 * time.Minute, Balance: 2 * time.Minute}
	listed := provider.Evidence{Balance: 2 * time.Minute, Books: 5 * time.Minute}
	want := map[string]provider.Evidence{
		"apikley": family, "kie": family, "sunoapi": family, "mountsea": listed, "sim": listed, "kkiai": {Callback: 20 * time.Minute},
	}
	for _, name := range all.Providers().Names() {
		info, err := all.Providers().Info(name)
		if err != nil {
			t.Fatalf("Info(%q): %v", name, err)
		}
		// One that is not listed has none: whoever claims some writes it down here.
		if diff := cmp.Diff(want[name], info.Evidence); diff != "" {
			t.Errorf("evidence of %s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSimNeverSpeaksToTheRealProvider(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		_, _ = io.WriteString(w, `{"credits":7}`)
	}))
	defer server.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c := provider.Config{APIKey: "any-key", HTTP: &http.Client{Transport: transport}}
	if _, err := all.Providers().Open("sim", c); fault.CodeOf(err) != fault.Invalid {
		t.Errorf("Open without a base URL: %v, want invalid", err)
	}
	for _, base := range []string{"://x", "mountsea", "/mountsea"} {
		c.BaseURL = base
		if _, err := all.Providers().Open("sim", c); fault.CodeOf(err) != fault.Invalid {
			t.Errorf("Open with base URL %q: %v, want invalid", base, err)
		}
	}
	c.BaseURL = server.URL + "/mountsea"
	d, err := all.Providers().Open("sim", c)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	if credits, err := d.Credits(t.Context()); credits != 7 || err != nil {
		t.Errorf("Credits = %v, %v; want 7", credits, err)
	}
	if diff := cmp.Diff([]string{"/mountsea-credits/api-user/credits"}, asked); diff != "" {
		t.Errorf("paths asked (-want +got):\n%s", diff)
	}
}
