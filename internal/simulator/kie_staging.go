package simulator

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

// The limits of staging. Only the first half of the second is documented, as
// advice; the rest is a guess that no sensible client meets.
const (
	maxStaged    = 1 << 30
	maxStagedURL = 100 << 20
	stageTime    = 30 * time.Second
	maxBase64    = 16 << 20
)

func (d *dialect) stagingEndpoints() []endpoint {
	api := "POST /" + d.name + "-staging/api/"
	all := []endpoint{
		{name: d.name + ".stage_stream", pattern: api + "file-stream-upload", handle: d.stageStream, stream: true},
		{name: d.name + ".stage_url", pattern: api + "file-url-upload", handle: d.stageURL, fields: []string{"fileUrl", "uploadPath", "fileName"}},
		{name: d.name + ".stage_base64", pattern: api + "file-base64-upload", handle: d.stageBase64, fields: []string{"base64Data", "uploadPath", "fileName"}, most: maxBase64},
	}
	for i := range all {
		all[i].class, all[i].refuse, all[i].gate = creates, d.refuseStaging, turnedAway
	}
	return all
}

// refuseStaging words an error of a staging host, whose codes are HTTP's.
func (d *dialect) refuseStaging(s *Simulator, why refusal) answer {
	msg := why.detail
	if msg == "" {
		msg = http.StatusText(why.status)
	}
	status := why.status
	if d.inBody(s) {
		status = http.StatusOK
	}
	return answerJSON(status, map[string]any{"success": false, "code": why.status, "msg": msg})
}

// staging is a file on its way to a staging host.
type staging struct {
	blob     string
	original string // the client's own name for it, "" if it has none
	folder   string // uploadPath
	name     string // fileName
	kept     parcel
}

// begin names the place on disk of what is about to arrive.
func (c *call) staging() staging {
	c.sim.mu.Lock()
	defer c.sim.mu.Unlock()
	return staging{blob: c.sim.dice.id("staged/"+c.name+"/"+c.sim.epoch, c.number)}
}

// stageStream takes a multipart form of any order, and keeps nothing of the file
// in memory.
func (d *dialect) stageStream(c *call) answer {
	parts, err := c.http.MultipartReader()
	if err != nil {
		return c.bad("Content-Type must be multipart/form-data")
	}
	f := c.staging()
	for err == nil {
		var part *multipart.Part
		if part, err = parts.NextPart(); err == nil {
			err = c.takePart(&f, part)
		}
	}
	if !errors.Is(err, io.EOF) || f.folder == "" || f.kept.SHA256 == "" {
		c.discard(f.blob)
	}
	switch {
	case errors.Is(err, errTooLarge):
		return c.bad("file is too large")
	case !errors.Is(err, io.EOF):
		return c.bad("the form is damaged")
	case f.kept.SHA256 == "":
		return c.missing("file")
	}
	return d.stage(c, f)
}

func (c *call) takePart(f *staging, part *multipart.Part) (err error) {
	switch name := part.FormName(); name {
	case "file":
		f.original = part.FileName()
		f.kept, err = c.sim.files.keep(f.blob, part, maxStaged)
		return err
	case "uploadPath":
		f.folder, err = shortText(part)
	case "fileName":
		f.name, err = shortText(part)
	default:
		c.sim.count(func(n *Conduct) { n.UnknownFields[c.name+" "+name]++ })
	}
	return err
}

func shortText(part io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(part, 4<<10))
	return string(text), err
}

// discard removes a file that nobody can ask for.
func (c *call) discard(blob string) {
	if err := c.sim.files.drop(blob); err != nil {
		c.sim.opts.Log.DebugContext(c.http.Context(), "simulator kept a useless file")
	}
}

// stageURL downloads a file for the client, which waits.
func (d *dialect) stageURL(c *call) answer {
	address, refused := c.audio("fileUrl")
	if refused != nil {
		return *refused
	}
	f := c.staging()
	f.folder, _ = c.text("uploadPath")
	f.name, _ = c.text("fileName")
	if u, err := url.Parse(address); err == nil {
		f.original = path.Base(u.Path)
	}
	if f.folder == "" {
		return c.missing("uploadPath")
	}
	var err error
	if f.kept, err = c.sim.copyFrom(c.http.Context(), address, f.blob); err != nil {
		c.sim.count(func(n *Conduct) { n.UnreachableAudio++ })
		return c.no(http.StatusBadRequest, "Failed to download the file")
	}
	return d.stage(c, f)
}

func (s *Simulator) copyFrom(ctx context.Context, address, blob string) (parcel, error) {
	if s.opts.NoFetch {
		return s.files.keep(blob, http.NoBody, 0)
	}
	ctx, cancel := context.WithTimeout(ctx, stageTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return parcel{}, err
	}
	response, err := s.opts.HTTP.Do(request)
	if err != nil {
		return parcel{}, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return parcel{}, fmt.Errorf("status %d", response.StatusCode)
	}
	return s.files.keep(blob, response.Body, maxStagedURL)
}

// stageBase64 takes bare Base64 and data URLs alike.
func (d *dialect) stageBase64(c *call) answer {
	data, ok := c.text("base64Data")
	if !ok {
		return c.missing("base64Data")
	}
	f := c.staging()
	f.folder, _ = c.text("uploadPath")
	f.name, _ = c.text("fileName")
	if f.folder == "" {
		return c.missing("uploadPath")
	}
	if _, bare, is := strings.Cut(data, ";base64,"); is && strings.HasPrefix(data, "data:") {
		data = bare
	}
	var err error
	if f.kept, err = c.sim.files.keep(f.blob, base64.NewDecoder(base64.StdEncoding, strings.NewReader(data)), maxBase64); err != nil {
		return c.bad("base64Data is not valid")
	}
	return d.stage(c, f)
}

// stage gives a kept file its place on the host and answers.
func (d *dialect) stage(c *call, f staging) answer {
	if f.folder == "" {
		return c.missing("uploadPath")
	}
	f.folder = strings.Trim(path.Clean("/"+f.folder), "/")
	if f.name == "" {
		f.name = derive(f.blob, "name") + path.Ext(f.original)
	}
	if f.folder == "" || f.name != path.Base(f.name) || f.name == "." || f.name == ".." {
		c.discard(f.blob)
		return c.bad("uploadPath or fileName is not valid")
	}
	s := c.sim
	s.mu.Lock()
	made := &stagedFile{
		Path: d.name + "/" + derive(c.account, "owner")[:8] + "/" + f.folder + "/" + f.name, Blob: f.blob, Size: f.kept.Size,
		Type: mediaType(f.name), Uploaded: s.now(),
	}
	var forgotten *stagedFile
	if former := s.state.staged[made.Path]; former != nil {
		s.conduct.OverwrittenFiles++
		forgotten = former.former
	}
	err := s.record(&event{Time: made.Uploaded, Staged: made})
	s.mu.Unlock()
	if err != nil {
		c.discard(f.blob)
		return c.broken()
	}
	if forgotten != nil {
		c.discard(forgotten.Blob)
	}
	a := answerJSON(http.StatusOK, map[string]any{"success": true, "code": http.StatusOK, "msg": "File uploaded successfully", "data": d.stagedData(c, f, made)})
	a.changed = true
	return a
}

// stagedData is one of the two shapes that the documents show. downloadUrl is in
// both.
func (d *dialect) stagedData(c *call, f staging, made *stagedFile) map[string]any {
	link := c.base() + (&url.URL{Path: "/" + d.name + "-staging/files/" + strings.TrimPrefix(made.Path, d.name+"/")}).EscapedPath()
	if c.sim.dice.pick(d.name+"/staging shape", 0, 2) == 0 {
		return map[string]any{
			"fileName": f.name, "filePath": f.folder + "/" + f.name, "downloadUrl": link, "fileSize": made.Size,
			"mimeType": made.Type, "uploadedAt": stamp(made.Uploaded),
		}
	}
	return map[string]any{
		"fileId": derive(f.blob, "id"), "fileName": f.name, "originalName": f.original, "fileSize": made.Size, "mimeType": made.Type,
		"uploadPath": f.folder, "fileUrl": link, "downloadUrl": link, "uploadTime": stamp(made.Uploaded),
		"expiresAt": stamp(made.Uploaded.Add(c.sim.opts.KIE.StagingLife)),
	}
}
