package independent

import (
	"io"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/all"
	"github.com/segue-audio/segue/internal/provider/rest"
)

// models are the contract's. KIE and sunoapi.org have more, of which this
// contract says nothing.
var models = []string{"", "V4", "V4_5", "V4_5PLUS", "V4_5ALL", "V5"}

// TestContract lets Prism judge what the family of KIE sends: whatever CheckParams
// accepts must be what the contract asks for.
func TestContract(t *testing.T) {
	base := prism(t)
	for _, name := range []string{"apikley", "kie", "sunoapi"} {
		t.Run(name, func(t *testing.T) {
			info, err := all.Providers().Info(name)
			if err != nil {
				t.Fatal(err)
			}
			seen := watch(t, base)
			driver := open(t, name, seen.url)
			modes := map[string]bool{}
			rapid.Check(t, func(t *rapid.T) {
				request := continuations().Draw(t, "continuation")
				if info.CheckParams(request.Params, time.Minute) != nil {
					t.Skip("not accepted, and so never sent")
				}
				accepted, err := driver.Extend(t.Context(), &request)
				asked, judged := seen.last()
				if err != nil || accepted.OperationID != "5c79****be8e" {
					t.Fatalf("Extend = %+v, %v\nasked:  %s\nPrism says: %s", accepted, err, asked, judged)
				}
				if weight := weights.FindString(asked); weight != "" && !twoDecimals.MatchString(weight) {
					t.Fatalf("%s has more than two decimals\nasked: %s", weight, asked)
				}
				modes[mode.FindString(asked)] = true
			})
			want := []string{
				`"defaultParamFlag":false,"instrumental":false`, `"defaultParamFlag":false,"instrumental":true`,
				`"defaultParamFlag":true,"instrumental":false`, `"defaultParamFlag":true,"instrumental":true`,
			}
			for _, m := range want {
				if !modes[m] {
					t.Errorf("none of %d requests had %s", seen.count(), m)
				}
			}
		})
	}
}

var (
	mode        = regexp.MustCompile(`"defaultParamFlag":\w+,"instrumental":\w+`)
	weights     = regexp.MustCompile(`"(styleWeight|weirdnessConstraint|audioWeight)":[^,}]+`)
	twoDecimals = regexp.MustCompile(`:(1|0(\.\d{1,2})?)$`)
)

// TestContractModels: the models that the contract lists are Apikley's, all of
// them and no others.
func TestContractModels(t *testing.T) {
	info, err := all.Providers().Info("apikley")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range info.Models {
		names = append(names, m.Name)
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{"V4", "V4_5", "V4_5ALL", "V4_5PLUS", "V5"}, names); diff != "" {
		t.Errorf("models (-want +got):\n%s", diff)
	}
}

// TestContractBites: Prism refuses what is wrong. A judge that accepts anything
// would find every driver innocent.
func TestContractBites(t *testing.T) {
	base := prism(t)
	const good = `{"uploadUrl":"https://files.example/a.mp3","defaultParamFlag":true,"instrumental":false,"continueAt":60,` +
		`"model":"V4","callBackUrl":"https://segue.example/c","prompt":"over the hill","style":"pop","title":"Home",` +
		`"vocalGender":"f","styleWeight":0.65,"weirdnessConstraint":0,"audioWeight":1,"personaId":"persona_123"}`
	cases := []struct {
		name, old, replacement string
		want                   int
	}{
		{"as it should be", ``, ``, 200},
		{"no uploadUrl", `"uploadUrl":"https://files.example/a.mp3",`, ``, 422},
		{"an uploadUrl that is none", `https://files.example/a.mp3`, `a.mp3`, 422},
		{"no defaultParamFlag", `"defaultParamFlag":true,`, ``, 422},
		{"no callBackUrl", `"callBackUrl":"https://segue.example/c",`, ``, 422},
		{"an empty callBackUrl", `https://segue.example/c`, ``, 422},
		{"no model", `"model":"V4",`, ``, 422},
		{"a model it does not have", `"V4"`, `"V9"`, 422},
		{"no instrumental", `"instrumental":false,`, ``, 422},
		{"instrumental in words", `"instrumental":false`, `"instrumental":"false"`, 422},
		{"no continueAt", `"continueAt":60,`, ``, 422},
		{"from the very beginning", `"continueAt":60`, `"continueAt":0`, 422},
		{"continueAt in words", `"continueAt":60`, `"continueAt":"60"`, 422},
		{"a weight above 1", `0.65`, `1.01`, 422},
		{"a weight below 0", `0.65`, `-0.01`, 422},
		{"a weight with three decimals", `0.65`, `0.655`, 422},
		{"another voice", `"f"`, `"x"`, 422},
		{"a misspelt field", `weirdnessConstraint`, `weirdness`, 422},
		{"no lyrics to sing", `"prompt":"over the hill",`, ``, 422},
		{"no style of its own", `"style":"pop",`, ``, 422},
		{"no title of its own", `"title":"Home",`, ``, 422},
		{"a persona in default mode", `"defaultParamFlag":true`, `"defaultParamFlag":false`, 422},
		{"a style too long for the model", `"pop"`, `"` + strings.Repeat("ö", 201) + `"`, 422},
		{"a style just short enough", `"pop"`, `"` + strings.Repeat("ö", 200) + `"`, 200},
		{"lyrics too long for the model", `over the hill`, strings.Repeat("ö", 3001), 422},
	}
	for _, tc := range cases {
		status, said := send(t, base, strings.Replace(good, tc.old, tc.replacement, 1))
		if status != tc.want {
			t.Errorf("%s: HTTP %d %s; want %d", tc.name, status, said, tc.want)
		}
	}
}

func send(t *testing.T, base, body string) (status int, said string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+extendPath, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer key")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// open makes a driver that speaks to a host on loopback.
func open(t *testing.T, name, base string) provider.Driver {
	t.Helper()
	transport := rest.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	driver, err := all.Providers().Open(name, provider.Config{
		BaseURL: base, APIKey: "kie-4f3e2d1c0b9a8877", HTTP: &http.Client{Transport: transport},
	})
	if err != nil {
		t.Fatalf("Open(%s): %v", name, err)
	}
	return driver
}

// continuations are what a person may ask for: with parameters of its own (a
// style and a title) or without, and now and then with something that is missing
// or too long for the model, which CheckParams refuses.
func continuations() *rapid.Generator[provider.Extend] {
	return rapid.Custom(func(t *rapid.T) provider.Extend {
		p := provider.Params{
			Model:               rapid.SampledFrom(models).Draw(t, "model"),
			ContinueAt:          rapid.OneOf(rapid.Float64Range(0, 60), rapid.SampledFrom([]float64{1e-9, 0.1 + 0.2, 30, 59.999})).Draw(t, "continueAt"),
			Instrumental:        rapid.Bool().Draw(t, "instrumental"),
			NegativeTags:        text().Draw(t, "negativeTags"),
			VocalGender:         rapid.SampledFrom([]string{"", "m", "f"}).Draw(t, "vocalGender"),
			StyleWeight:         weight().Draw(t, "styleWeight"),
			WeirdnessConstraint: weight().Draw(t, "weirdnessConstraint"),
			AudioWeight:         weight().Draw(t, "audioWeight"),
			Prompt:              text(3000, 5000).Draw(t, "prompt"),
		}
		if rapid.Bool().Draw(t, "custom") {
			p.Style, p.Title = text(200, 1000).Draw(t, "style"), text(80, 100).Draw(t, "title")
			p.PersonaID = rapid.SampledFrom([]string{"", "persona_123"}).Draw(t, "personaId")
		}
		return provider.Extend{
			Clip:        provider.Clip{URL: rapid.SampledFrom(addresses).Draw(t, "address")},
			CallbackURL: rapid.SampledFrom([]string{"", "https://segue.example/callbacks/kie/t0k3n", "http://[2001:db8::1]:8080/c?a=1&b=2"}).Draw(t, "callback"),
			Params:      p,
		}
	})
}

var addresses = []string{
	"https://files.example/segue/a.mp3",
	"http://192.0.2.7:9000/b/a%20b.mp3?X-Amz-Signature=c2ln&X-Amz-Expires=3600",
	"https://files.example/%C3%BCber/l%C3%A4nge.flac?x=1#t=2",
}

// text is a few characters of anything, or as long as some model allows, or
// seldom nothing.
func text(limits ...int) *rapid.Generator[string] {
	short := rapid.StringN(1, 40, -1)
	kinds := []*rapid.Generator[string]{rapid.StringN(0, 40, -1), short, short, short}
	for _, limit := range limits {
		kinds = append(kinds, rapid.Just(strings.Repeat("ü", limit)), rapid.Just(strings.Repeat("🎵", limit)))
	}
	return rapid.OneOf(kinds...)
}

// weight is nothing or a number of hundredths, sometimes with the noise of a
// computation. Left out are those ten, of a hundred and one, that Prism takes for
// no multiple of 0.01: it divides binary numbers, and 0.57/0.01 is a little less
// than 57. TestContract holds the decimals that are sent by their text.
func weight() *rapid.Generator[*float64] {
	return rapid.Custom(func(t *rapid.T) *float64 {
		hundredths := rapid.IntRange(0, 120).Draw(t, "hundredths")
		if hundredths > 100 || slices.Contains([]int{7, 14, 28, 29, 47, 56, 57, 58, 59, 94}, hundredths) {
			return nil
		}
		w := float64(hundredths) / 100
		if rapid.Bool().Draw(t, "noise") {
			w = math.Nextafter(w, 0.5)
		}
		return &w
	})
}
