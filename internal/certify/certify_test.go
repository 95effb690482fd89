package certify

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/audio"
	"github.com/segue-audio/segue/internal/fault"
)

func valid() Options {
	return Options{
		Kills: 1, Every: time.Second, Workers: 1, Items: 1, InFlight: 1, Accounts: 1,
		Provider: "kie", Evidence: EvidenceAll, Patience: time.Second,
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*Options)
		says  string
	}{
		{"unknown provider", func(o *Options) { o.Provider = "soundclown" }, `provider "soundclown" cannot be certified against; there are apikley, kie, kkiai, mountsea, sunoapi`},
		{"no workers", func(o *Options) { o.Workers = 0 }, "workers is 0, want at least 1"},
		{"negative kills", func(o *Options) { o.Kills = -1 }, "kills is -1, want at least 0"},
		{"nothing to do", func(o *Options) { o.Kills = 0 }, "neither a kill nor a session"},
		{"no time between kills", func(o *Options) { o.Every = 0 }, "must be above 0"},
		{"unknown evidence", func(o *Options) { o.Evidence = "some" }, `evidence is "some"; it is all or none`},
		{"uploads that cost nothing", func(o *Options) { o.UploadOnly = true }, "uploads cost nothing at kie"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := valid()
			c.spoil(&o)
			_, _, err := o.withDefaults()
			if fault.CodeOf(err) != fault.Invalid || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v; want invalid, saying %q", err, c.says)
			}
		})
	}
	if _, _, err := valid().withDefaults(); err != nil {
		t.Errorf("valid options: %v", err)
	}
}

// TestSongs: what is submitted is audio, and no two songs are equal.
func TestSongs(t *testing.T) {
	first, err := makeSongs(t.TempDir(), 0, 3)
	if err != nil {
		t.Fatal(err)
	}
	second, err := makeSongs(t.TempDir(), 3, 3)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, song := range append(first, second...) {
		info, err := audio.ProbeFile(t.Context(), song.Path)
		if err != nil {
			t.Fatal(err)
		}
		if string(info.Format) != "wav" || info.Duration != 1250*time.Millisecond || info.SHA256 != song.SHA256 || info.Size != song.Size || info.Problem != "" {
			t.Errorf("%s is %+v; want 1.25 s of sound WAV with digest %s", song.Path, info, song.SHA256)
		}
		if seen[song.SHA256] {
			t.Errorf("%s has the bytes of another song", song.Path)
		}
		seen[song.SHA256] = true
	}
}

func TestSpread(t *testing.T) {
	var hundred []time.Duration
	for n := range 100 {
		hundred = append(hundred, time.Duration(100-n)*time.Second)
	}
	for _, c := range []struct {
		name string
		all  []time.Duration
		want Spread
	}{
		{"none", nil, Spread{}},
		{"one", []time.Duration{1500 * time.Millisecond}, Spread{1, 1.5, 1.5, 1.5}},
		{"a hundred, backwards", hundred, Spread{100, 50, 99, 100}},
		{"two", []time.Duration{3 * time.Second, time.Second}, Spread{2, 1, 3, 3}},
	} {
		if diff := cmp.Diff(c.want, spread(c.all)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// TestTally follows what a killed worker had in hand to where it ends.
func TestTally(t *testing.T) {
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	after := func(s float64) time.Time { return noon.Add(time.Duration(s * float64(time.Second))) }
	y := newTally()
	y.killed(noon, 0, nil)
	y.killed(noon, 3, []Grip{{"adopted", true}, {"refused", true}, {"left", true}, {"free", false}})
	for _, w := range y.open() {
		y.saw(w, Sight{}) // nobody has noticed yet
	}
	for _, w := range y.open() {
		y.saw(w, Sight{Moved: after(7)})
	}
	if got := len(y.open()); got != 3 {
		t.Errorf("%d grips are open, want the three paid ones", got)
	}
	for _, w := range y.open() {
		switch w.What {
		case "adopted":
			y.saw(w, Sight{Moved: after(8), Settled: after(8), How: Adopted})
		case "refused":
			y.saw(w, Sight{Moved: after(10), Settled: after(10), How: NotAccepted})
		}
	}
	y.rest()
	if y.kills() != 2 || y.busy != 1 || y.requests != 3 {
		t.Errorf("%d kills, %d of them with %d paid requests; want 2, 1, 3", y.kills(), y.busy, y.requests)
	}
	if diff := cmp.Diff(map[string]int{Adopted: 1, NotAccepted: 1, LeftHeld: 1}, y.ways); diff != "" {
		t.Errorf("doubts by what settled them (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Spread{{4, 7, 7, 7}, {2, 8, 10, 10}}, []Spread{spread(y.rescues), spread(y.doubts)}); diff != "" {
		t.Errorf("rescues and doubts (-want +got):\n%s", diff)
	}
}

// TestVendors reads answers as the providers' pages show them.
func TestVendors(t *testing.T) {
	for _, c := range []struct {
		vendor, answer string
		want           []string
	}{
		{"kie", `{"code":200,"data":{"response":{"sunoData":[{"id":"a"},{"id":"b"}]}}}`, []string{"a", "b"}},
		{"sunoapi", `{"code":200,"data":{"response":"{\"sunoData\":[{\"id\":\"a\"}]}"}}`, []string{"a"}},
		{"kie", `{"code":429,"msg":"slow down"}`, []string{}},
		{"kkiai", `{"data":{"status":"SUCCESS","data":[{"id":"a"},{"id":"b"}]}}`, []string{"a", "b"}},
		{"mountsea", `{"status":"success","data":[{"id":"a"},{"id":"b"}]}`, []string{"a", "b"}},
		{"mountsea", `{"status":"success","data":{"id":"a"}}`, []string{"a"}},
	} {
		v, err := vendorNamed(c.vendor)
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.ids([]byte(c.answer))
		if err != nil || !cmp.Equal(c.want, got) {
			t.Errorf("%s: %s gives %q, %v; want %q", c.vendor, c.answer, got, err, c.want)
		}
	}
}

// TestWrite shows a breach at the end of the report, and a pass only where there is
// none.
func TestWrite(t *testing.T) {
	good := &Report{System: "good", Final: Judgement{Charges: 4001}}
	bad := &Report{System: "bad", Final: Judgement{Charges: 17, Extra: 1}, Breaches: []Breach{{paidOnce, "charged twice"}}}
	var out bytes.Buffer
	Write(io.Writer(&out), good, bad)
	text := out.String()
	for _, want := range []string{
		"paid submissions                        4001                        17\n",
		"  extra charges                         0                           1\n",
		"good:\n  pass: every promise was kept\n",
		"bad:\n  broken promises (1):\n    paid once: charged twice\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report does not contain %q:\n%s", want, text)
		}
	}
}
