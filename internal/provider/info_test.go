package provider_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

var info = provider.Info{
	Name:    "acme",
	Uploads: provider.Uploads{Formats: []string{"mp3", "wav"}, MaxBytes: 1000, MaxDuration: 8 * time.Minute},
	Models: []provider.Model{
		{Name: "V5", MaxPrompt: 10, MaxStyle: 5, MaxTitle: 4},
		{Name: "V4_5ALL", MaxUpload: time.Minute},
		{Name: "custom:*", MaxTitle: 3},
	},
}

func TestModel(t *testing.T) {
	cases := []struct {
		name  string
		want  provider.Model
		known bool
	}{
		{"", provider.Model{Name: "V5", MaxPrompt: 10, MaxStyle: 5, MaxTitle: 4}, true},
		{"V4_5ALL", provider.Model{Name: "V4_5ALL", MaxUpload: time.Minute}, true},
		{"custom:0b5c", provider.Model{Name: "custom:0b5c", MaxTitle: 3}, true},
		{"custom:", provider.Model{}, false},
		{"custom:*", provider.Model{}, false},
		{"v5", provider.Model{}, false},
	}
	for _, c := range cases {
		got, known := info.Model(c.name)
		if known != c.known || got != c.want {
			t.Errorf("Model(%q) = %+v, %v; want %+v, %v", c.name, got, known, c.want, c.known)
		}
	}
	if _, known := (provider.Info{}).Model(""); known {
		t.Error("a provider without models has a default model, want none")
	}
}

func TestCheckAudio(t *testing.T) {
	cases := []struct {
		name  string
		audio provider.Audio
		want  []string
	}{
		{"fits", provider.Audio{Format: "mp3", Size: 1000, Duration: 8 * time.Minute}, nil},
		{"size unknown", provider.Audio{Format: "wav", Size: -1}, nil},
		{
			"nothing fits",
			provider.Audio{Format: "aiff", Size: 1001, Duration: 481 * time.Second},
			[]string{"acme does not take aiff (it takes mp3, wav)", "1001 bytes; acme takes at most 1000", "481 s long; acme takes at most 480 s"},
		},
	}
	for _, c := range cases {
		if diff := cmp.Diff(c.want, info.CheckAudio(c.audio)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestCheckParams(t *testing.T) {
	weight := func(w float64) *float64 { return &w }
	cases := []struct {
		name     string
		params   provider.Params
		duration time.Duration
		want     []string
	}{
		{"fits", provider.Params{ContinueAt: 59.9, Prompt: "ten runes…", StyleWeight: weight(0.57), AudioWeight: weight(1)}, time.Minute, nil},
		{"duration unknown", provider.Params{ContinueAt: 600}, 0, nil},
		{"unknown model", provider.Params{Model: "V9", ContinueAt: 1}, 0, []string{`acme has no model "V9" (it has V5, V4_5ALL, custom:*)`}},
		{"no point", provider.Params{}, 0, []string{"continue-at is 0; it must be greater than 0"}},
		{"not a number", provider.Params{ContinueAt: math.NaN()}, 0, []string{"continue-at is NaN; it must be greater than 0"}},
		{"at the end", provider.Params{ContinueAt: 60}, time.Minute, []string{"continue-at is 60 s, but the audio ends at 60 s"}},
		{"too long for the model", provider.Params{Model: "V4_5ALL", ContinueAt: 1}, 61 * time.Second, []string{"61 s long; model V4_5ALL continues at most 60 s"}},
		{
			"long texts",
			provider.Params{ContinueAt: 1, Prompt: "eleven rune", Style: "sixsix", Title: "fives"},
			0,
			[]string{"prompt has 11 characters; model V5 takes 10", "style has 6 characters; model V5 takes 5", "title has 5 characters; model V5 takes 4"},
		},
		{
			"weights",
			provider.Params{ContinueAt: 1, StyleWeight: weight(1.1), WeirdnessConstraint: weight(0.123), AudioWeight: weight(math.NaN())},
			0,
			[]string{"style-weight is 1.1; it must be from 0 to 1", "weirdness-constraint is 0.123; it may have two decimals at most", "audio-weight is NaN; it must be from 0 to 1"},
		},
		{"gender", provider.Params{ContinueAt: 1, VocalGender: "x"}, 0, []string{`vocal-gender is "x"; it is m or f`}},
	}
	for _, c := range cases {
		if diff := cmp.Diff(c.want, info.CheckParams(c.params, c.duration)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestRegistry(t *testing.T) {
	r := provider.NewRegistry()
	var opened provider.Config
	r.Register(provider.Info{Name: "kie"}, func(c provider.Config) (provider.Driver, error) {
		opened = c
		return nil, nil
	})
	r.Register(provider.Info{Name: "apikley"}, nil)
	if diff := cmp.Diff([]string{"apikley", "kie"}, r.Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if _, err := r.Open("kie", provider.Config{APIKey: "k"}); err != nil || opened.APIKey != "k" {
		t.Errorf("Open(kie) was given %+v, %v; want the config", opened, err)
	}
	_, err := r.Open("kei", provider.Config{})
	if fault.CodeOf(err) != fault.Invalid || !strings.Contains(err.Error(), `no driver "kei" (there are apikley, kie)`) {
		t.Errorf("Open(kei) = %v, want invalid with the names there are", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("registering a name twice passed, want a panic")
		}
	}()
	r.Register(provider.Info{Name: "kie"}, nil)
}
