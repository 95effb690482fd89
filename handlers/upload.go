package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

// Upload executes audio:upload: it gives one item's audio to the provider. The step
// is claimed before it is prepared: a file that kills its worker while it is looked
// at is found out like any other death.
func (h *Handlers) Upload(ctx context.Context, p tasks.Upload) error {
	j, err := h.begin(ctx, p.Step, session.Queued)
	if j == nil || err != nil {
		return err
	}
	defer h.done(j)
	info := j.account.Info
	r := request{lease: tasks.AudioUpload.Policy.Timeout, timeout: tasks.AudioUpload.Policy.Timeout - time.Minute}
	if err := h.claim(ctx, j, r); err != nil {
		return done(err)
	}
	if err := h.examine(ctx, j); err != nil {
		return h.postpone(ctx, j, err)
	}
	switch clip, of, err := h.standing(ctx, j); {
	case errors.Is(err, errElsewhere):
		return h.awaitOther(ctx, j, of)
	case err != nil:
		return h.postpone(ctx, j, err)
	case clip != nil:
		return h.reuse(ctx, j, clip, of)
	}
	upload, err := h.prepareUpload(ctx, j)
	if err != nil {
		return h.postpone(ctx, j, err)
	}
	if info.Uploads.By == provider.ByURL {
		r.lease, r.timeout = paidClaim, sendTimeout
	}
	r.paid, r.credits = info.Uploads.Paid, info.Prices.Upload
	r.params = hashOf(j.Item.Source.SHA256, j.Item.Source.Name)
	r.send = func(ctx context.Context, callback string) (*provider.Accepted, error) {
		upload.CallbackURL = callback
		return j.account.Driver.Upload(ctx, upload)
	}
	return h.submit(ctx, j, r)
}

// examine looks at what was not looked at by the producer, and holds the item to what
// is known of the provider.
func (h *Handlers) examine(ctx context.Context, j *job) error {
	if j.Item.Source.Duration == 0 {
		probed, err := h.Probe(ctx, j.Item.Source)
		if err != nil {
			return err
		}
		j.Item.Source = probed
	}
	return h.check(j)
}

// prepareUpload does what is free and can be repeated before the request: staging, the
// provider's own session.
func (h *Handlers) prepareUpload(ctx context.Context, j *job) (*provider.Upload, error) {
	remote, err := h.remoteSession(ctx, j)
	if err != nil {
		return nil, err
	}
	audio, err := h.audio(ctx, j)
	if err != nil {
		return nil, err
	}
	return &provider.Upload{Session: remote, Audio: audio, Checkpoint: j.Item.Checkpoint, Save: h.saver(j)}, nil
}

// check holds the item to what is known of the provider, before anything is
// spent: a producer may have submitted what the command line would have refused.
func (h *Handlers) check(j *job) error {
	src := &j.Item.Source
	duration := time.Duration(src.Duration * float64(time.Second))
	findings := j.account.Info.CheckAudio(provider.Audio{Format: src.Format, Size: src.Size, Duration: duration})
	if len(j.Item.Plan) > 1 {
		findings = append(findings, j.account.Info.CheckParams(j.Item.EffectiveParams(&j.Session.Spec), duration)...)
	}
	if len(findings) == 0 {
		return nil
	}
	all := make([]error, len(findings))
	for n, finding := range findings {
		all[n] = errors.New(finding)
	}
	return fault.Uncharged(fault.Invalid, "handlers.check", errors.Join(all...))
}

// openers lets one of many items open their session's remote session.
type openers struct{ group singleflight.Group }

// remoteSession gives the provider's own session id, opening one when the
// session has none yet. Two workers may open one each: the first recorded is
// used by all, and the other, being free, is forgotten.
func (h *Handlers) remoteSession(ctx context.Context, j *job) (string, error) {
	opener, ok := j.account.Driver.(provider.SessionOpener)
	if !ok || j.Session.Remote != "" {
		return j.Session.Remote, nil
	}
	id := j.Session.ID
	_, err, _ := h.openers.group.Do(id, func() (any, error) {
		work, err := h.Store.Load(ctx, id, j.Item.Index)
		if err != nil || work.Session.Remote != "" {
			return nil, err
		}
		opened, err := opener.OpenSession(ctx)
		if err != nil {
			return nil, err
		}
		_, err = h.Store.SetRemote(ctx, id, opened)
		return nil, err
	})
	if err != nil {
		return "", err
	}
	// Which one holds is for the state to say.
	work, err := h.Store.Load(ctx, id, j.Item.Index)
	if err != nil {
		return "", err
	}
	j.Session.Remote = work.Session.Remote
	return j.Session.Remote, nil
}

// audio is the item's file as the driver takes it.
func (h *Handlers) audio(ctx context.Context, j *job) (provider.Audio, error) {
	src := j.Item.Source
	audio := provider.Audio{
		URL: encoded(src.URL), Name: nameOf(src), Format: src.Format, Size: src.Size, SHA256: src.SHA256,
		Duration: time.Duration(src.Duration * float64(time.Second)),
	}
	switch {
	case j.account.Info.Uploads.By == provider.ByBytes:
		audio.Open = func(ctx context.Context) (io.ReadCloser, error) { return h.Open(ctx, src) }
		return audio, nil
	case strings.HasPrefix(src.URL, "s3://"):
		return h.signed(ctx, src, audio)
	case src.URL != "":
		return audio, nil
	case h.Stage == nil:
		return audio, fault.Uncharged(fault.Unavailable, "handlers.audio",
			errors.New("no address from which the provider could fetch local files: set server.public_url and run segue serve, or let staging.url name a bucket"))
	}
	url, err := h.Stage(ctx, src)
	audio.URL = url
	return audio, err
}

// signed is an object of the object store as a provider fetches it.
func (h *Handlers) signed(ctx context.Context, src session.Source, audio provider.Audio) (provider.Audio, error) {
	if h.Sign == nil {
		return audio, fault.Uncharged(fault.Unavailable, "handlers.audio", errors.New("this worker has no object store from which the provider could fetch s3:// sources"))
	}
	url, err := h.Sign(ctx, src)
	audio.URL = url
	return audio, err
}

// encoded is a URL as providers check it: people and browsers take spaces and
// umlauts, RFC 3986 does not. What is encoded already stays as it is: a signature
// may cover it.
func encoded(address string) string {
	var out strings.Builder
	for n := range len(address) {
		if c := address[n]; c > ' ' && c < 0x7f && !strings.ContainsRune("\"<>\\^`{|}", rune(c)) {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return out.String()
}

func nameOf(src session.Source) string {
	if src.Path != "" {
		return filepath.Base(src.Path)
	}
	return filepath.Base(src.Name)
}

// saver stores a driver's checkpoint under the job's claim.
func (h *Handlers) saver(j *job) func(context.Context, json.RawMessage) error {
	return func(ctx context.Context, checkpoint json.RawMessage) error {
		if err := j.Item.Save(j.token, checkpoint); err != nil {
			return err
		}
		_, err := h.Store.Write(ctx, &j.Item, soon)
		return err
	}
}
