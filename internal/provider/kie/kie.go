// Package kie drives the family of KIE.AI (api.kie.ai): KIE itself, Apikley
// (api.apikley.ru) and sunoapi.org. They share paths and bodies, and differ in
// where files are staged, in prices and limits, and in what numbers mean.
//
// Sources: KIE's page "Audio Upload and Extension Callbacks", Apikley's page
// "Upload And Extend Audio", and the three sites' pages on task details, credits,
// file upload, webhook verification and the unified jobs API. Where these are
// silent or contradict each other, the comment at the place says what was chosen.
package kie

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
)

// dialect is what one provider of the family does in its own way.
type dialect struct {
	info func() provider.Info
	// staging is the documented host for files; empty where there is none.
	staging string
	// balance is the path of the account's balance.
	balance string
	// jobs says that there is the unified jobs route beside the legacy one.
	jobs bool
	// refusals say what the answers of the API mean, and outcomes what an error
	// code of a task means once the task was accepted.
	refusals func() rest.Table
	outcomes map[string]outcome
}

// KIE gives the facts about KIE.AI and its driver, for the registry.
func KIE() (provider.Info, provider.Open) {
	return dialect{
		info: kieInfo, staging: "https://kieai.redpandaai.co", balance: "api/v1/chat/credit", jobs: true,
		refusals: kieRefusals, outcomes: kieOutcomes,
	}.entry()
}

// Apikley gives the facts about Apikley and its driver. It documents no host for
// files: audio has to be reachable at a URL.
func Apikley() (provider.Info, provider.Open) {
	return dialect{
		info: apikleyInfo, balance: "api/v1/chat/credit",
		refusals: kieRefusals, outcomes: kieOutcomes,
	}.entry()
}

// SunoAPI gives the facts about sunoapi.org and its driver.
func SunoAPI() (provider.Info, provider.Open) {
	return dialect{
		info: sunoapiInfo, staging: "https://sunoapiorg.redpandaai.co", balance: "api/v1/generate/credit",
		refusals: sunoapiRefusals, outcomes: sunoapiOutcomes,
	}.entry()
}

func (l dialect) entry() (provider.Info, provider.Open) { return l.info(), l.open }

type driver struct {
	dialect
	settings
	name     string
	webhook  webhook
	api      *rest.Client // what is asked and ordered
	asking   *rest.Client // the same host, where an outcome is an answer too
	purse    *rest.Client // the host of the balance
	files    *rest.Client // nil where there is no host for files
	refusals rest.Table
}

// open makes a driver for one account. A missing key, a host that is no URL, an
// unknown option or value is fault.Invalid.
func (l dialect) open(c provider.Config) (provider.Driver, error) {
	info := l.info()
	d := &driver{dialect: l, name: info.Name, refusals: l.refusals(), webhook: newWebhook(c)}
	var err error
	if d.settings, err = l.read(c.Options); err != nil {
		return nil, fault.Uncharged(fault.Invalid, d.op("Open"), err)
	}
	if l.staging == "" && c.StagingURL != "" {
		return nil, fault.Uncharged(fault.Invalid, d.op("Open"), errors.New("there is no staging host to speak to; leave the staging URL out"))
	}
	options := rest.Options{
		Op: d.op("Open"), Base: cmp.Or(c.BaseURL, info.BaseURL), Auth: rest.Bearer(c.APIKey), HTTP: c.HTTP,
		Envelope: rest.Envelope{Code: []string{"code"}, Success: []string{"200"}, Message: []string{"msg", "message"}},
		Table:    d.refusals, UserAgent: d.agent,
	}
	if err := d.connect(options, c); err != nil {
		return nil, err
	}
	return d, nil
}

// connect makes the clients.
func (d *driver) connect(options rest.Options, c provider.Config) error {
	var err error
	if d.api, err = rest.New(options); err != nil {
		return err
	}
	asking := options
	asking.Envelope.Success = append([]string{"200"}, codes(d.outcomes)...)
	asking.Table = questionRefusals(d.refusals)
	if d.asking, err = rest.New(asking); err != nil {
		return err
	}
	purse := options
	purse.Base = cmp.Or(c.CreditsURL, options.Base)
	if d.purse, err = rest.New(purse); err != nil || d.staging == "" {
		return err
	}
	files := options
	files.Base, files.Table = cmp.Or(c.StagingURL, d.staging), stagingRefusals()
	d.files, err = rest.New(files)
	return err
}

// op names a method in errors: "kie.Poll".
func (d *driver) op(method string) string { return d.name + "." + method }

// Credits asks for the balance.
func (d *driver) Credits(ctx context.Context) (float64, error) {
	var out struct {
		Data *float64 `json:"data"`
	}
	if err := d.purse.JSON(ctx, d.op("Credits"), http.MethodGet, d.balance, nil, &out); err != nil {
		return 0, err
	}
	if out.Data == nil {
		return 0, fault.Uncharged(fault.Malformed, d.op("Credits"), errors.New("the answer has no balance"))
	}
	return *out.Data, nil
}
