package kkiai

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
)

// checkpoint is what is known of an upload that is not accepted yet. A ticket is
// never part of it, since it is a credential: without one the upload begins
// again, which is free.
type checkpoint struct {
	// Upload is the upload's id.
	Upload string `json:"upload"`
	// Done is the last step whose end is known.
	Done string `json:"done"`
}

const (
	transferred = "transfer"      // step 2
	finished    = "upload-finish" // step 3
)

func (c checkpoint) encode() json.RawMessage {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // two strings cannot fail to be JSON
	}
	return text
}

// Upload is steps 1 to 3: a ticket, the transfer to the storage service, and the
// report that it is complete. All of it is free.
func (d *driver) Upload(ctx context.Context, r *provider.Upload) (*provider.Accepted, error) {
	const op = "kkiai.Upload"
	if resumed, err := d.resume(ctx, op, r.Checkpoint); resumed != nil || err != nil {
		return resumed, err
	}
	id, err := d.send(ctx, op, r.Audio)
	if err != nil {
		return nil, err
	}
	if err := r.Save(ctx, checkpoint{id, transferred}.encode()); err != nil {
		if f, ok := errors.AsType[*fault.Error](err); ok {
			return nil, f
		}
		return nil, fault.Uncharged(fault.Internal, op, err)
	}
	report := finishRequest{Type: "file_upload", Filename: nameOf(r.Audio)}
	var out struct{}
	if err := d.api.JSON(ctx, op, http.MethodPost, uploadPath(id, "/upload-finish"), report, &out); err != nil {
		return nil, rest.Free(err)
	}
	return accepted(id), nil
}

func accepted(id string) *provider.Accepted {
	return &provider.Accepted{OperationID: id, Checkpoint: checkpoint{id, finished}.encode()}
}

// resume goes on with an earlier attempt's upload, or says nil to begin again.
// Whether upload-finish may be sent twice is not known, so after a transfer whose
// report has no known end the upload itself is asked. What it says before the
// report is not known either: only the words that must come later prove it.
func (d *driver) resume(ctx context.Context, op string, saved json.RawMessage) (*provider.Accepted, error) {
	var at checkpoint
	if len(saved) == 0 || json.Unmarshal(saved, &at) != nil || at.Upload == "" {
		return nil, nil //nolint:nilerr // what cannot be read is begun again: it is free
	}
	if at.Done == finished {
		return accepted(at.Upload), nil
	}
	s, err := d.status(ctx, op, at.Upload)
	switch fault.CodeOf(err) {
	case "":
	case fault.NotFound, fault.Invalid, fault.Malformed:
		return nil, nil
	default:
		return nil, err
	}
	switch s.Status {
	case "passed_audio_processing", "passed_artist_moderation", "complete", "completed":
		return accepted(at.Upload), nil
	}
	return nil, nil
}

// send is steps 1 and 2. A ticket that the storage refuses is replaced once; it
// may have expired on the way.
func (d *driver) send(ctx context.Context, op string, a provider.Audio) (string, error) {
	id, err := d.sendOnce(ctx, op, a)
	if fault.CodeOf(err) != fault.Pending {
		return id, err
	}
	if id, err = d.sendOnce(ctx, op, a); fault.CodeOf(err) == fault.Pending {
		return "", fault.Uncharged(fault.Unavailable, op, errors.New("a new ticket was refused too: "+fault.Reason(err)))
	}
	return id, err
}

func (d *driver) sendOnce(ctx context.Context, op string, a provider.Audio) (string, error) {
	var out either[ticket]
	if err := d.api.JSON(ctx, op, http.MethodPost, "suno/uploads/audio", authorizeRequest{extensionOf(a)}, &out); err != nil {
		return "", rest.Free(err)
	}
	t := out.value
	id, address := cmp.Or(t.UploadID, t.ID), cmp.Or(t.UploadURL, t.CamelURL, t.URL)
	if id == "" || address == "" {
		return "", fault.Uncharged(fault.Malformed, op, errors.New("the answer has no upload id, or no address"))
	}
	if len(t.Fields) == 0 {
		return string(id), d.put(ctx, op, string(address), a)
	}
	return string(id), d.post(ctx, op, string(address), t.Fields, a)
}

// put is the transfer as the six steps have it. A type that was not signed breaks
// some signatures, so it is sent only where the address says that it was signed.
func (d *driver) put(ctx context.Context, op, address string, a provider.Audio) error {
	content := rest.Content{Size: a.Size, Open: a.Open}
	if target, err := url.Parse(address); err == nil && strings.Contains(target.Query().Get("X-Amz-SignedHeaders"), "content-type") {
		content.Type = mediaTypes[extensionOf(a)]
	}
	return d.api.Transfer(ctx, rest.Transfer{Op: op, Method: http.MethodPut, Address: address, Content: content, Table: storage})
}

// post is the transfer as the relatives have it: a form with what the ticket
// lists, word for word, and the file last.
func (d *driver) post(ctx context.Context, op, address string, listed map[string]rest.Text, a provider.Audio) error {
	fields := make([]rest.Field, 0, len(listed))
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		fields = append(fields, rest.Field{Name: name, Value: string(listed[name])})
	}
	mediaType := cmp.Or(string(listed["Content-Type"]), mediaTypes[extensionOf(a)])
	form, err := rest.Form(fields, rest.File{
		Field: "file", Name: nameOf(a), Content: rest.Content{Type: mediaType, Size: a.Size, Open: a.Open},
	})
	if err != nil {
		return fault.Uncharged(fault.Malformed, op, errors.New("the ticket's fields fit no form"))
	}
	return d.api.Transfer(ctx, rest.Transfer{Op: op, Method: http.MethodPost, Address: address, Content: form, Table: storage})
}

// storage is what S3 says. Pending marks a ticket that is not, or no longer,
// accepted: another one may be.
var storage = rest.Table{
	"403":                   {Code: fault.Pending},
	"AccessDenied":          {Code: fault.Pending},
	"ExpiredToken":          {Code: fault.Pending},
	"InvalidToken":          {Code: fault.Pending},
	"RequestTimeTooSkewed":  {Code: fault.Pending},
	"SignatureDoesNotMatch": {Code: fault.Pending},

	"411":            {Code: fault.Internal},
	"413":            {Code: fault.Invalid},
	"EntityTooLarge": {Code: fault.Invalid},
	"EntityTooSmall": {Code: fault.Invalid},

	"408":            {Code: fault.Timeout},
	"RequestTimeout": {Code: fault.Timeout},
	"IncompleteBody": {Code: fault.Unavailable},
	"429":            {Code: fault.Unavailable},
}

var mediaTypes = map[string]string{
	"aac": "audio/aac", "flac": "audio/flac", "m4a": "audio/mp4", "mp3": "audio/mpeg", "ogg": "audio/ogg", "wav": "audio/wav",
}

// extensionOf is what the audio is, whatever its file is called.
func extensionOf(a provider.Audio) string {
	return cmp.Or(a.Format, strings.ToLower(strings.TrimPrefix(path.Ext(a.Name), ".")))
}

func nameOf(a provider.Audio) string { return cmp.Or(a.Name, "audio."+extensionOf(a)) }

func uploadPath(id, step string) string { return "suno/uploads/audio/" + url.PathEscape(id) + step }
