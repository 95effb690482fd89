package kie

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// settings are the options of these drivers:
//
//	callback_placeholder  the callBackUrl to name where Segue cannot be reached,
//	                      since the API demands one; an https URL
//	jobs_lyrics           the field that carries lyrics on the jobs route, whose
//	                      page names both: prompt (default) or lyrics
//	max_upload            the longest audio to send, as "2m": KIE's callback page
//	                      says 2 minutes where the contract says 8
//	route                 legacy (default), the route of the documents here, or
//	                      jobs, KIE's unified one
//	stage                 how audio that is a URL gets to the provider's files: url
//	                      (default), fetched by it, or stream, sent by us
//	user_agent            what to call ourselves; the firewall in front of the file
//	                      hosts refuses what is not like a browser
//
// route and jobs_lyrics are KIE's alone, stage is of those with a file host.
type settings struct {
	placeholder string
	lyrics      string
	maxUpload   time.Duration
	route       string
	stream      bool
	agent       string
}

// The routes, as the option and a checkpoint name them.
const (
	legacy = "legacy"
	jobs   = "jobs"
)

// placeholder is a name that by RFC 2606 never resolves: what the provider would
// tell about the task reaches nobody.
const placeholder = "https://segue.invalid/no-callback"

// read takes every finding together.
func (l dialect) read(options map[string]string) (settings, error) {
	s := settings{placeholder: placeholder, lyrics: "prompt", route: legacy}
	set := map[string]func(string) error{
		"callback_placeholder": s.setPlaceholder,
		"max_upload":           s.setMaxUpload,
		"user_agent":           s.setAgent,
	}
	if l.jobs {
		set["route"] = oneOf(&s.route, legacy, jobs)
		set["jobs_lyrics"] = oneOf(&s.lyrics, "prompt", "lyrics")
	}
	stage := "url"
	if l.staging != "" {
		set["stage"] = oneOf(&stage, "url", "stream")
	}
	var findings []error
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if set[name] == nil {
			known := strings.Join(slices.Sorted(maps.Keys(set)), ", ")
			findings = append(findings, fmt.Errorf("there is no option %q (there are %s)", name, known))
		} else if err := set[name](options[name]); err != nil {
			findings = append(findings, fmt.Errorf("option %s: %w", name, err))
		}
	}
	s.stream = stage == "stream"
	return s, errors.Join(findings...)
}

func oneOf(field *string, allowed ...string) func(string) error {
	return func(value string) error {
		if !slices.Contains(allowed, value) {
			return fmt.Errorf("%q is not one of %s", value, strings.Join(allowed, ", "))
		}
		*field = value
		return nil
	}
}

func (s *settings) setPlaceholder(value string) error {
	if u, err := url.Parse(value); err != nil || u.Scheme != "https" || u.Host == "" {
		return errors.New("it must be an https URL")
	}
	s.placeholder = value
	return nil
}

func (s *settings) setMaxUpload(value string) error {
	limit, err := time.ParseDuration(value)
	if err != nil || limit <= 0 {
		return fmt.Errorf("%q is not a duration above 0, such as 2m", value)
	}
	s.maxUpload = limit
	return nil
}

func (s *settings) setAgent(value string) error {
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) || strings.TrimSpace(value) == "" {
		return errors.New("it must be printable ASCII")
	}
	s.agent = value
	return nil
}
