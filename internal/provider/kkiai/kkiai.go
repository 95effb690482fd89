// Package kkiai is the driver for kkiai (www.kkiai.com).
//
// Sources: kkiai's page "Report Upload Complete" with its six steps; its pages on
// upload status, submit/music and fetching a task; for the two steps whose pages
// are not to be found (authorization, initialize-clip) those of gateways of the
// same make, and what is known of the service behind all of them. Where they
// contradict each other, the comment at the place says what was chosen, or
// Config.Options does:
//
//	continue_at  integer (default): cut down to whole seconds, which one of
//	             kkiai's two pages calls for and both take. float: as asked
//	refunds      no (default). yes: a task that failed was given back, as the
//	             software that kkiai seems to run does
//	task_id      sent with every continuation, for a gateway that insists on the
//	             task that a clip came from; an uploaded clip has none. clip: its
//	             own id; anything else: as it is
package kkiai

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
)

const (
	// Name is the driver's name in the configuration.
	Name = "kkiai"

	baseURL = "https://www.kkiai.com"

	// The example on the page about continuing an uploaded song.
	defaultModel = "chirp-v4"
)

// Info gives the documented facts.
func Info() provider.Info {
	return provider.Info{
		Name:    Name,
		BaseURL: baseURL,
		Uploads: provider.Uploads{
			By: provider.ByBytes, Clips: true, // "billing starts" at step 6
			// kkiai names neither formats nor sizes; these are those of the service
			// behind it.
			Formats: []string{"mp3", "m4a", "wav", "flac", "ogg", "aac"}, MaxBytes: 524_288_000,
		},
		// The gateways' names, then those that only the service behind them lists.
		// One relative wants "-upload" for uploaded audio, and does without in its
		// own example. No lengths are documented.
		Models: []provider.Model{
			{Name: defaultModel},
			{Name: "chirp-v5"},
			{Name: "chirp-auk"},
			{Name: "chirp-v3-5"},
			{Name: "chirp-v3-0"},
			{Name: "chirp-v4-upload"},
			{Name: "chirp-v3-5-upload"},
			{Name: "chirp-auk-turbo"},
			{Name: "chirp-bluejay"},
			{Name: "chirp-crow"},
			{Name: "chirp-fenix"},
			{Name: "chirp-hawk"},
			{Name: "chirp-hawk-wild"},
			{Name: "chirp-goose"},
		},
		// No price is published.
		// No page states a limit. Ours keeps a bulk run from starting all of it at once.
		Limits: provider.Limits{InFlight: 500},
		Prices: provider.Prices{Extend: 10, Assumed: true},
		Poll:   provider.Polling{Min: 2 * time.Second, Max: 30 * time.Second},
		// Not documented; what the relatives keep.
		Retention: 14 * 24 * time.Hour,
		Callbacks: true,
		// No page says when notify_hook is called, how often, or whether a call that
		// fails is repeated. The service behind gives a task up after 10 minutes; twice
		// that leaves room for a gateway that asks it now and then. There is no balance
		// to ask for, and no list.
		Evidence: provider.Evidence{Callback: 20 * time.Minute},
		Rules:    rules,
	}
}

// rules are what the page requires, and what the endpoint has no field for: a
// wish that would be dropped in silence is refused instead.
func rules(p provider.Params) []string {
	var unmet []string
	if p.Title == "" {
		unmet = append(unmet, "kkiai needs a title")
	}
	if p.Prompt == "" && !p.Instrumental {
		unmet = append(unmet, "kkiai needs a prompt, the lyrics, unless the music is to be instrumental")
	}
	if p.StyleWeight != nil || p.WeirdnessConstraint != nil || p.AudioWeight != nil {
		unmet = append(unmet, "kkiai takes no weights (style-weight, weirdness-constraint, audio-weight)")
	}
	return unmet
}

type driver struct {
	api        *rest.Client
	initialize *rest.Client // to which 400 means not yet
	taskID     string
	whole      bool // continue_at in whole seconds
	refunds    bool
}

// Open makes a driver for one account. A missing key, a host that is no URL, an
// unknown option, and a webhook key (kkiai signs nothing) are fault.Invalid.
func Open(c provider.Config) (provider.Driver, error) {
	d := &driver{}
	if err := d.configure(c); err != nil {
		return nil, fault.Uncharged(fault.Invalid, "kkiai.Open", err)
	}
	options := rest.Options{
		Op: "kkiai.Open", Base: cmp.Or(c.BaseURL, baseURL), Auth: rest.Bearer(c.APIKey), HTTP: c.HTTP,
		Envelope: rest.Envelope{Code: []string{"code"}, Success: []string{"success", "200"}, Message: []string{"message"}},
		Table:    refusals(),
	}
	var err error
	if d.api, err = rest.New(options); err != nil {
		return nil, err
	}
	options.Table = refusals()
	options.Table["400"], options.Table["invalid_request"] = rest.Rule{Code: fault.Pending}, rest.Rule{Code: fault.Pending}
	d.initialize, err = rest.New(options)
	return d, err
}

func (d *driver) configure(c provider.Config) error {
	d.whole = true
	if c.WebhookKey != "" {
		return errors.New("kkiai signs no callbacks: a webhook key would refuse all of them")
	}
	for name, value := range c.Options {
		switch {
		case name == "task_id":
			d.taskID = value
		case name == "continue_at" && (value == "float" || value == "integer"):
			d.whole = value == "integer"
		case name == "refunds" && (value == "yes" || value == "no"):
			d.refunds = value == "yes"
		default:
			return fmt.Errorf("there is no option %s: %q (there are continue_at: float or integer, refunds: yes or no, task_id)", name, value)
		}
	}
	return nil
}

// refusals are the statuses with the gateway software's own codes. A
// "fail_to_fetch_task" has the status of the service behind the gateway, which
// says more; a pre-charge that failed was never made.
func refusals() rest.Table {
	t := rest.Statuses()
	maps.Copy(t, rest.Table{
		"invalid_request":                {Code: fault.Invalid, Charge: fault.ChargeNone},
		"task_not_exist":                 {Code: fault.NotFound, Charge: fault.ChargeNone},
		"task_channel_disable":           {Code: fault.Unavailable, Charge: fault.ChargeNone},
		"model_price_error":              {Code: fault.Invalid, Charge: fault.ChargeNone},
		"quota_not_enough":               {Code: fault.Exhausted, Charge: fault.ChargeNone, Scope: fault.ScopeAccount},
		"insufficient_user_quota":        {Code: fault.Exhausted, Charge: fault.ChargeNone, Scope: fault.ScopeAccount},
		"pre_consume_token_quota_failed": {Code: fault.Exhausted, Charge: fault.ChargeNone, Scope: fault.ScopeAccount},
		"do_request_failed":              {Code: fault.Unavailable},
		"read_response_body_failed":      {Code: fault.Unavailable},
		"unmarshal_response_body_failed": {Code: fault.Unavailable},
		"get_task_failed":                {Code: fault.Unavailable},
	})
	return t
}

// Extend is step 6, the paid one. "upload_extend" is the task for an uploaded
// clip; "extend", the page's default, is the one for a generated clip.
func (d *driver) Extend(ctx context.Context, r *provider.Extend) (*provider.Accepted, error) {
	const op = "kkiai.Extend"
	if r.Clip.ID == "" {
		return nil, fault.Uncharged(fault.Invalid, op, errors.New("there is no clip to continue"))
	}
	var out struct {
		Data json.RawMessage `json:"data"`
	}
	if err := d.api.JSON(ctx, op, http.MethodPost, "suno/submit/music", d.submission(r), &out); err != nil {
		return nil, err
	}
	id := taskIDOf(out.Data)
	if id == "" {
		return nil, fault.New(fault.Malformed, op, errors.New("the answer has no task id"))
	}
	return &provider.Accepted{OperationID: id}, nil
}

// Credits is always not_found: no page tells how to ask kkiai for the balance.
func (d *driver) Credits(context.Context) (float64, error) {
	return 0, fault.Uncharged(fault.NotFound, "kkiai.Credits", errors.New("kkiai documents no way to ask for it"))
}
