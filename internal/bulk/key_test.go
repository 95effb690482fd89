package bulk_test

import (
	"math"
	"strings"
	"testing"

	"github.com/segue-audio/segue/internal/bulk"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

const song = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// What was paid for lies under these keys: they must never change. They were
// computed with another program than this one, from the texts beside them.
func TestKeys(t *testing.T) {
	full := &provider.Params{
		Model: "V5", ContinueAt: 182.40000000000001, Instrumental: true, Prompt: "la & <la>\n\"x\"", Style: "ambient", Title: "Caf\u00e9",
		NegativeTags: "drums", VocalGender: "f", StyleWeight: new(0.65), WeirdnessConstraint: new(0.0), AudioWeight: new(1.0), PersonaID: "p1",
	}
	cases := []struct {
		name       string
		request    bulk.Request
		text, want string
	}{
		{
			"an upload",
			bulk.Request{SHA256: song, Provider: "kie", Account: "main"},
			`{"account":"main","of":"result","provider":"kie","sha256":"` + song + `","v":1}`,
			"698a09180b585e206917ca6c2a51b6e70f9e8397382d2e5cd73a99726455d294",
		},
		{
			"an extend of nothing but a place",
			bulk.Request{SHA256: song, Provider: "kie", Params: &provider.Params{Model: "V5", ContinueAt: 60}},
			`{"of":"result","params":{"continueAt":60,"model":"V5"},"provider":"kie","sha256":"` + song + `","v":1}`,
			"5cbde8f6f7ad7de628fdd18e51957bb8691bb6895361a894613126ba5798072c",
		},
		{
			"everything",
			bulk.Request{SHA256: song, Provider: "kie", Account: "main", Params: full},
			`{"account":"main","of":"result","params":{"audioWeight":1,"continueAt":182.4,"instrumental":true,"model":"V5","negativeTags":"drums","personaId":"p1",` +
				`"prompt":"la & <la>\n\"x\"","style":"ambient","styleWeight":0.65,"title":"Caf` + "\u00e9" + `","vocalGender":"f","weirdnessConstraint":0},` +
				`"provider":"kie","sha256":"` + song + `","v":1}`,
			"d8979beb53a7a7ad78241ff4fab55dfdfb264a77cba19d0ef13aa933b38af0e7",
		},
	}
	for _, c := range cases {
		text, err := c.request.Canonical()
		if err != nil || string(text) != c.text {
			t.Errorf("%s: Canonical = %s, %v\nwant %s", c.name, text, err, c.text)
		}
		if key, err := c.request.Key(); err != nil || key != c.want {
			t.Errorf("%s: Key = %s, %v; want %s", c.name, key, err, c.want)
		}
	}
	if key, err := bulk.ClipKey(song, "kie", "main"); err != nil || key != "45788847c445e27685a17aa482a73bbd289f60390f43640dbdcd319beae6a15b" {
		t.Errorf("ClipKey = %s, %v; want 45788847c445e27685a17aa482a73bbd289f60390f43640dbdcd319beae6a15b", key, err)
	}
	if full.ContinueAt != 182.40000000000001 || *full.StyleWeight != 0.65 {
		t.Errorf("the parameters are %+v after Key, want them as they were", full)
	}
}

// Whatever decides what comes out is another key, and what is noise is not.
func TestKeysAreApart(t *testing.T) {
	base := func() bulk.Request {
		return bulk.Request{SHA256: song, Provider: "kie", Params: &provider.Params{Model: "V5", ContinueAt: 182.4}}
	}
	itself, err := base().Key()
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]string{itself: "itself"}
	for name, change := range map[string]func(r *bulk.Request){
		"audio":       func(r *bulk.Request) { r.SHA256 = strings.Repeat("0", 64) },
		"provider":    func(r *bulk.Request) { r.Provider = "kkiai" },
		"account":     func(r *bulk.Request) { r.Account = "main" },
		"upload only": func(r *bulk.Request) { r.Params = nil },
		"model":       func(r *bulk.Request) { r.Params.Model = "V4" },
		"place":       func(r *bulk.Request) { r.Params.ContinueAt = 182.41 },
		"prompt":      func(r *bulk.Request) { r.Params.Prompt = "x" },
		"style":       func(r *bulk.Request) { r.Params.Style = "x" },
		"weight":      func(r *bulk.Request) { r.Params.StyleWeight = new(0.0) },
		"gender":      func(r *bulk.Request) { r.Params.VocalGender = "m" },
	} {
		r := base()
		change(&r)
		key, err := r.Key()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if other, taken := keys[key]; taken {
			t.Errorf("%s and %s have one key", name, other)
		}
		keys[key] = name
	}
	noisy := base()
	noisy.Params.ContinueAt = math.Nextafter(182.4, 200)
	if key, err := noisy.Key(); err != nil || key != itself || noisy.Params.ContinueAt == 182.4 {
		t.Errorf("a place that is %v has another key than 182.4 (%v)", noisy.Params.ContinueAt, err)
	}
}

func TestWhatIsNoRequest(t *testing.T) {
	for name, r := range map[string]bulk.Request{
		"no digest":            {Provider: "kie"},
		"a digest in capitals": {SHA256: strings.ToUpper(song), Provider: "kie"},
		"no provider":          {SHA256: song},
		"from the end":         {SHA256: song, Provider: "kie", Params: &provider.Params{ContinueAt: -5}},
		"no number":            {SHA256: song, Provider: "kie", Params: &provider.Params{ContinueAt: math.NaN()}},
	} {
		if key, err := r.Key(); fault.CodeOf(err) != fault.Invalid || key != "" {
			t.Errorf("%s: %q, %v; want invalid", name, key, err)
		}
	}
	for name, c := range map[string][3]string{"account": {song, "kie", ""}, "provider": {song, "", "main"}, "digest": {"x", "kie", "main"}} {
		if key, err := bulk.ClipKey(c[0], c[1], c[2]); fault.CodeOf(err) != fault.Invalid || key != "" {
			t.Errorf("a clip without %s: %q, %v; want invalid", name, key, err)
		}
	}
}
