package kie

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
)

const (
	// uploadPath is the folder at the file host.
	uploadPath = "segue"
	// maxFetch is the size up to which the file host fetches a URL itself; it gives
	// up after 30 s.
	maxFetch = 100 << 20
	// keep is how long a staged file lives where the host does not say: the shorter
	// of the two times that its pages name (24 hours, 3 days).
	keep = 24 * time.Hour
)

// staged is where a file host put a file. One page calls the address downloadUrl,
// another gives fileUrl too.
type staged struct {
	Data struct {
		DownloadURL rest.Text `json:"downloadUrl"`
		FileURL     rest.Text `json:"fileUrl"`
		ExpiresAt   rest.Text `json:"expiresAt"`
	} `json:"data"`
}

type fetchRequest struct {
	FileURL    string `json:"fileUrl"`
	UploadPath string `json:"uploadPath"`
	FileName   string `json:"fileName"`
}

// Upload stages the audio, which is free. Where the provider has no host for
// files, the audio's own URL is the clip and nothing is sent.
func (d *driver) Upload(ctx context.Context, r *provider.Upload) (*provider.Accepted, error) {
	op := d.op("Upload")
	if limit := d.maxUpload; limit > 0 && r.Audio.Duration > limit {
		return nil, fault.Uncharged(fault.Invalid, op, fmt.Errorf("the audio is %s long; the option max_upload allows %s", r.Audio.Duration.Round(time.Second), limit))
	}
	if d.files == nil {
		if !fetchable(r.Audio.URL) {
			return nil, fault.Uncharged(fault.Invalid, op, fmt.Errorf("%s fetches audio from an http or https URL, and there is none", d.name))
		}
		return &provider.Accepted{Clip: &provider.Clip{URL: r.Audio.URL}}, nil
	}
	var out staged
	if err := d.stage(ctx, op, r.Audio, &out); err != nil {
		return nil, rest.Free(err)
	}
	clip, err := out.clip(time.Now())
	if err != nil {
		return nil, fault.Uncharged(fault.Malformed, op, err)
	}
	return &provider.Accepted{Clip: clip}, nil
}

func fetchable(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}

// stage makes one exchange with the file host. A file's name is its own each time:
// the host overwrites a file of the same name, and its caches may go on serving
// the one before.
func (d *driver) stage(ctx context.Context, op string, a provider.Audio, out *staged) error {
	name := "segue-" + strings.ToLower(rand.Text()) + extension(a)
	if fetchable(a.URL) && a.Size <= maxFetch && !d.stream {
		return d.files.JSON(ctx, op, http.MethodPost, "api/file-url-upload", fetchRequest{a.URL, uploadPath, name}, out)
	}
	if a.Open == nil {
		return fault.Uncharged(fault.Invalid, op, errors.New("there are no bytes to send"))
	}
	form, err := rest.Form(
		[]rest.Field{{Name: "uploadPath", Value: uploadPath}, {Name: "fileName", Value: name}},
		rest.File{Field: "file", Name: name, Content: rest.Content{Type: mediaType(a.Format), Size: a.Size, Open: a.Open}},
	)
	if err != nil {
		return fault.Uncharged(fault.Internal, op, err)
	}
	return d.files.Stream(ctx, op, http.MethodPost, "api/file-stream-upload", form, out)
}

// extension is the file's own, or else its container's.
func extension(a provider.Audio) string {
	if a.Format != "" {
		return "." + a.Format
	}
	return strings.ToLower(filepath.Ext(a.Name))
}

func mediaType(format string) string {
	switch format {
	case "mp3":
		return "audio/mpeg"
	case "m4a":
		return "audio/mp4"
	case "":
		return "application/octet-stream"
	}
	return "audio/" + format
}

func (s *staged) clip(now time.Time) (*provider.Clip, error) {
	address := string(cmp.Or(s.Data.DownloadURL, s.Data.FileURL))
	if !fetchable(address) {
		return nil, errors.New("the answer has neither a downloadUrl nor a fileUrl")
	}
	return &provider.Clip{URL: address, Expires: expiry(string(s.Data.ExpiresAt), now)}, nil
}

// expiry reads expiresAt. A time without a zone, as these hosts also write, could
// be hours off; like one that has passed already it counts as not said.
func expiry(text string, now time.Time) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || !at.After(now) {
		return now.Add(keep).UTC()
	}
	return at.UTC()
}
