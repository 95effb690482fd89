package kie

import (
	"time"

	"github.com/segue-audio/segue/internal/provider"
)

// defaultModel stands in Apikley's contract and in KIE's. KIE has since marked all
// before V6 as discontinued, and does not say until when it takes them; nor are
// its limits for V6 published. So V6 is there to be asked for.
const defaultModel = "V5"

func kieInfo() provider.Info {
	info := family("kie", "https://api.kie.ai")
	info.Uploads.By = provider.ByBytes
	info.Models = append(info.Models,
		provider.Model{Name: "V5_5", MaxPrompt: 5000, MaxStyle: 1000, MaxTitle: 100},
		provider.Model{Name: "V6"}, provider.Model{Name: "V6_MINI"}, provider.Model{Name: "V6_WILD"},
	)
	return info
}

// apikleyInfo: Apikley "enforces its own limits" and names none, nor prices: it is
// asked less often, and its price is KIE's until the configuration knows better.
func apikleyInfo() provider.Info {
	info := family("apikley", "https://api.apikley.ru")
	info.Uploads.By = provider.ByURL
	info.Prices.Assumed = true
	info.Poll.Min = 5 * time.Second
	info.Limits.Submit.N = 18
	return info
}

func sunoapiInfo() provider.Info {
	info := family("sunoapi", "https://api.sunoapi.org")
	info.Uploads.By = provider.ByBytes
	info.Models = append(info.Models, provider.Model{Name: "V5_5", MaxPrompt: 5000, MaxStyle: 1000, MaxTitle: 100})
	info.Poll.Min = 5 * time.Second
	return info
}

// The horizon of callbacks, from KIE's page on them. Apikley and sunoapi.org send the
// same callbacks and publish no times: theirs is taken to be the same.
const (
	// longest is the age at which a task without a result is given up (the code 408
	// of the page on task details): the first report of its end may come that late.
	longest = 10 * time.Minute
	// retries are those after a report that failed, "with intervals of 1 minute, 5
	// minutes, and 15 minutes", each attempt taking up to the "15 seconds" of its
	// timeout.
	retries = (1+5+15)*time.Minute + 4*15*time.Second
)

// family gives what the three have in common. A staged file is a URL, not a clip,
// and staging is free.
func family(name, host string) provider.Info {
	return provider.Info{
		Name:    name,
		BaseURL: host,
		Uploads: provider.Uploads{
			// No page names the containers; these are what Suno itself takes.
			Formats: []string{"mp3", "m4a", "wav", "flac", "ogg", "aac"},
			// Apikley's contract. KIE's callback page says 2 minutes twice, which older
			// pages said too: see the option max_upload.
			MaxDuration: 8 * time.Minute,
		},
		Models: []provider.Model{
			{Name: defaultModel, MaxPrompt: 5000, MaxStyle: 1000, MaxTitle: 100},
			{Name: "V4_5PLUS", MaxPrompt: 5000, MaxStyle: 1000, MaxTitle: 100},
			{Name: "V4_5", MaxPrompt: 5000, MaxStyle: 1000, MaxTitle: 100},
			{Name: "V4_5ALL", MaxPrompt: 5000, MaxStyle: 1000, MaxTitle: 80, MaxUpload: time.Minute},
			{Name: "V4", MaxPrompt: 3000, MaxStyle: 200, MaxTitle: 80},
		},
		// 12 credits for a job of two tracks, measured at KIE and sunoapi.org.
		Prices: provider.Prices{Extend: 12},
		// KIE's billing page: "20 new generation requests per 10 s" and account, and
		// "about 100+" of them running at once.
		Limits: provider.Limits{Submit: provider.Rate{N: 20, Per: 10 * time.Second}, InFlight: 100},
		// KIE advises to ask every 30 s, and bears 3 questions a second per task.
		Poll:      provider.Polling{Min: 2 * time.Second, Max: 30 * time.Second},
		Retention: 14 * 24 * time.Hour,
		Callbacks: true,
		Evidence: provider.Evidence{
			Callback: longest + retries,
			// Tasks are billed when they are accepted, and the balance is asked for where
			// that is written. How soon it shows there is not documented; two minutes
			// leave room for a cache or a replica in between.
			Balance: 2 * time.Minute,
			// There are logs on KIE's web pages, and no way for a program to read them.
		},
		Rules: rules,
	}
}

// custom says whether the continuation has parameters of its own
// (defaultParamFlag) instead of the original's. What only custom mode has decides:
// a style, a title or a persona. A prompt alone does not: it then describes how to
// go on and the lyrics are written for it, whereas in custom mode it is the lyrics.
func custom(p provider.Params) bool { return p.Style != "" || p.Title != "" || p.PersonaID != "" }

// singing says whether the prompt is sung word by word.
func singing(p provider.Params) bool { return custom(p) && !p.Instrumental }

// rules are the required fields by defaultParamFlag and instrumental. Where the
// Apikley page contradicts itself the stricter reading holds, since a refusal
// comes only after the upload: its guide wants a prompt in default mode, its field
// descriptions do not.
func rules(p provider.Params) []string {
	if !custom(p) {
		if p.Prompt == "" {
			return []string{"prompt is missing: it says how the music goes on, unless style and title are given"}
		}
		return nil
	}
	var findings []string
	if p.Style == "" {
		findings = append(findings, "style is missing: with a title or a persona, the continuation needs a style of its own")
	}
	if p.Title == "" {
		findings = append(findings, "title is missing: with a style or a persona, the continuation needs a title of its own")
	}
	if p.Prompt == "" && singing(p) {
		findings = append(findings, "prompt is missing: with a style and a title of its own, the continuation needs the lyrics, or must be instrumental")
	}
	return findings
}
