//go:build unix

package proctest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
)

// Vendor is one of the providers that the simulator plays, and what its
// documents say of an extended song.
type Vendor struct {
	Name string
	// Paid are the endpoints that a song is charged at, once each and in this order.
	Paid []string
	// Price is that of a song, in credits.
	Price float64
	// Calls says whether it makes callbacks, ByURL whether it takes audio only from
	// where it can download it.
	Calls, ByURL bool
	// Tracks asks, as any customer can, which tracks came of an operation.
	Tracks func(p *Provider, operation string) []string
}

// Vendors are those that have drivers.
func Vendors() []Vendor {
	return []Vendor{
		{Name: "kie", Paid: []string{"kie.extend"}, Price: 12, Calls: true, Tracks: recordedTracks("kie")},
		{Name: "apikley", Paid: []string{"apikley.extend"}, Price: 12, Calls: true, ByURL: true, Tracks: recordedTracks("apikley")},
		{Name: "mountsea", Paid: []string{"mountsea.item", "mountsea.generate"}, Price: 12, ByURL: true, Tracks: (*Provider).Clips},
		{Name: "kkiai", Paid: []string{"kkiai.submit"}, Price: 10, Calls: true, Tracks: (*Provider).fetchedTracks},
	}
}

// recordedTracks asks a provider of KIE's family.
func recordedTracks(name string) func(*Provider, string) []string {
	return func(p *Provider, operation string) []string {
		p.t.Helper()
		var answer struct {
			Data struct {
				Status   string          `json:"status"`
				Response json.RawMessage `json:"response"`
			} `json:"data"`
		}
		p.patient("/"+name+"/api/v1/generate/record-info?taskId="+operation, &answer)
		response := answer.Data.Response
		var quoted string // some send the object as text
		if json.Unmarshal(response, &quoted) == nil {
			response = json.RawMessage(quoted)
		}
		var made struct {
			Songs []clip `json:"sunoData"`
		}
		if err := json.Unmarshal(response, &made); err != nil || len(made.Songs) == 0 {
			p.t.Fatalf("operation %s: status %q, response %.300s (%v), want tracks", operation, answer.Data.Status, response, err)
		}
		return idsOf(made.Songs)
	}
}

// patient reads what may be asked for three times a second only.
func (p *Provider) patient(path string, into any) {
	p.t.Helper()
	Eventually(p.t, 10*time.Second, "GET "+path+" is answered", func() bool {
		req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.URL+path, http.NoBody)
		if err != nil {
			p.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+APIKey)
		resp, err := httpClient.Do(req)
		if err != nil {
			p.t.Fatal(err)
		}
		defer resp.Body.Close()
		var refused struct {
			Code int `json:"code"`
		}
		text, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, json.Unmarshal(text, &refused)); err != nil {
			p.t.Fatalf("GET %s: %v", path, err)
		}
		if resp.StatusCode == http.StatusTooManyRequests || refused.Code == 429 {
			return false
		}
		if err := json.Unmarshal(text, into); err != nil {
			p.t.Fatalf("GET %s: %v", path, err)
		}
		return true
	})
}

// fetchedTracks asks kkiai.
func (p *Provider) fetchedTracks(operation string) []string {
	p.t.Helper()
	var answer struct {
		Data struct {
			Status string `json:"status"`
			Data   []clip `json:"data"`
		} `json:"data"`
	}
	p.Read("/kkiai/suno/fetch/"+operation, &answer)
	if answer.Data.Status != "SUCCESS" || len(answer.Data.Data) == 0 {
		p.t.Fatalf("operation %s: %+v, want SUCCESS and tracks", operation, answer.Data)
	}
	return idsOf(answer.Data.Data)
}

type clip struct {
	ID string `json:"id"`
}

func idsOf(clips []clip) []string {
	ids := make([]string, len(clips))
	for n, c := range clips {
		ids[n] = c.ID
	}
	return ids
}
