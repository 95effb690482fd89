// Package mountsea is the driver for MountSea (api.mountsea.ai).
//
// Sources: MountSea's page "Batch Upload Session"; its pages on upload,
// generate, generate/schema, task status, credits and the history of credits.
// Where they are silent or contradict each other, the comment at the place says
// what was chosen.
package mountsea

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
)

const (
	// Name is the driver's name in the configuration.
	Name = "mountsea"

	baseURL    = "https://api.mountsea.ai"
	balanceURL = "https://dk.mountsea.ai"

	// service is how MountSea calls its Suno service in paths.
	service      = "suno"
	uploadPath   = service + "/v2/upload"
	itemPath     = service + "/v2/audio/upload/session/item"
	generatePath = service + "/v2/generate"

	// No default is documented; this is the newest but one.
	defaultModel = "chirp-v50"
)

// Info gives the documented facts.
func Info() provider.Info {
	return provider.Info{
		Name:    Name,
		BaseURL: baseURL,
		Uploads: provider.Uploads{
			By: provider.ByURL, Paid: true, Clips: true,
			// MountSea names none. These are what Suno itself takes; a file that it
			// would refuse is better refused before it is paid for.
			Formats: []string{"mp3", "m4a", "wav", "flac", "ogg", "aac"},
		},
		// The generate page's list; its odd spellings are the provider's own. No
		// lengths are documented. A custom model is "chirp-custom:" and its UUID.
		Models: []provider.Model{
			{Name: defaultModel},
			{Name: "chirp-v55"},
			{Name: "chirp-45+"},
			{Name: "chirp-v45"},
			{Name: "chirp-v45-lite"},
			{Name: "chirp-v40"},
			{Name: "chirp-v35"},
			{Name: "chirp-custom:*"},
		},
		// Uploads and generations "cost credits", says MountSea, and not how many.
		// No page states a limit. Ours keeps a bulk run from starting all of it at once.
		Limits: provider.Limits{InFlight: 500},
		Prices: provider.Prices{Upload: 2, Extend: 10, Assumed: true},
		Poll:   provider.Polling{Min: 2 * time.Second, Max: 30 * time.Second},
		// Not documented; what the relatives keep.
		Retention: 14 * 24 * time.Hour,
		Evidence: provider.Evidence{
			// No page knows a callback. The balance is said to be given "in real time";
			// the two minutes are for caches in between.
			Balance: 2 * time.Minute,
			// How soon the history has a deduction is not said. Such lists are written
			// behind the request, and an upload's clip is listed only once the upload
			// is through, which takes up to two minutes.
			Books: 5 * time.Minute,
		},
	}
}

type driver struct {
	api     *rest.Client
	credits *rest.Client
}

// Open makes a driver for one account. A missing key or a host that is no URL is
// fault.Invalid.
func Open(c provider.Config) (provider.Driver, error) {
	options := rest.Options{
		Op: "mountsea.Open", Base: cmp.Or(c.BaseURL, baseURL), Auth: rest.Bearer(c.APIKey), HTTP: c.HTTP,
		// MountSea documents neither error bodies nor error codes. These are the
		// bodies that services of its kind give, and the codes with the meaning that
		// its relatives share. Good answers have no envelope.
		Envelope: rest.Envelope{
			Code: []string{"code", "statusCode"}, Success: []string{"0", "200", "201", "success"}, Message: []string{"message", "msg", "error"},
		},
		Table: rest.Statuses(),
	}
	api, err := rest.New(options)
	if err != nil {
		return nil, err
	}
	options.Base, options.Auth = cmp.Or(c.CreditsURL, balanceURL), rest.KeyHeader("X-API-Key", c.APIKey)
	credits, err := rest.New(options)
	if err != nil {
		return nil, err
	}
	return &driver{api: api, credits: credits}, nil
}

// OpenSession binds a new session to one of MountSea's upstream accounts. It has
// no request body and is free.
func (d *driver) OpenSession(ctx context.Context) (string, error) {
	const op = "mountsea.OpenSession"
	var out struct {
		SessionID rest.Text `json:"sessionId"`
	}
	if err := d.api.JSON(ctx, op, http.MethodPost, "suno/v2/audio/upload/session", nil, &out); err != nil {
		return "", err
	}
	if out.SessionID == "" {
		return "", fault.Uncharged(fault.Malformed, op, errors.New("the answer has no sessionId"))
	}
	return string(out.SessionID), nil
}

// Upload sends one item. Without a session the clip lands on any upstream
// account, which is enough to continue it.
func (d *driver) Upload(ctx context.Context, r *provider.Upload) (*provider.Accepted, error) {
	const op = "mountsea.Upload"
	if r.Audio.URL == "" {
		return nil, fault.Uncharged(fault.Invalid, op, errors.New("MountSea fetches audio from a URL, and there is none"))
	}
	path := uploadPath
	if r.Session != "" {
		path = itemPath
	}
	return d.submit(ctx, op, path, uploadRequest{SessionID: r.Session, AudioURL: r.Audio.URL})
}

// Extend submits one generation. A clip is continued by its id with the task
// "extend", which the schema page gives clip_id; the upload page's hint at
// "upload_extend" is followed for a clip that is only a URL, since that task
// takes an audio_url and no id.
func (d *driver) Extend(ctx context.Context, r *provider.Extend) (*provider.Accepted, error) {
	const op = "mountsea.Extend"
	request := generation(r.Params)
	switch {
	case r.Clip.ID != "":
		request.Task, request.ClipID = "extend", r.Clip.ID
	case r.Clip.URL != "":
		request.Task, request.AudioURL = "upload_extend", r.Clip.URL
	default:
		return nil, fault.Uncharged(fault.Invalid, op, errors.New("there is no clip to continue"))
	}
	return d.submit(ctx, op, generatePath, request)
}

// submit sends a paid request; an answer that names no task is malformed, and may
// have been charged.
func (d *driver) submit(ctx context.Context, op, path string, request any) (*provider.Accepted, error) {
	var out struct {
		TaskID rest.Text `json:"taskId"`
	}
	if err := d.api.JSON(ctx, op, http.MethodPost, path, request, &out); err != nil {
		return nil, err
	}
	if out.TaskID == "" {
		return nil, fault.New(fault.Malformed, op, errors.New("the answer has no taskId"))
	}
	return &provider.Accepted{OperationID: string(out.TaskID)}, nil
}

// Credits asks the other host, which takes the key in a header of its own.
func (d *driver) Credits(ctx context.Context) (float64, error) {
	const op = "mountsea.Credits"
	var out struct {
		Credits *float64 `json:"credits"`
	}
	if err := d.credits.JSON(ctx, op, http.MethodGet, "api-user/credits", nil, &out); err != nil {
		return 0, err
	}
	if out.Credits == nil {
		return 0, fault.Uncharged(fault.Malformed, op, errors.New("the answer has no credits"))
	}
	return *out.Credits, nil
}
