package simulator

import (
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

// Steps one, three, four and five: all free of charge.

// kkiaiExtensions are the formats that the service behind the gateway takes.
var kkiaiExtensions = []string{"mp3", "m4a", "wav", "flac", "ogg", "aac"}

const matchesExisting = "Uploaded audio matches existing work of art"

// kkiaiDoAuthorize hands out a ticket for the storage, in one of two forms.
func kkiaiDoAuthorize(c *call) answer {
	extension, ok := c.text("extension")
	if !ok {
		return c.missing("extension")
	}
	if !slices.Contains(kkiaiExtensions, extension) {
		return c.bad("unsupported extension")
	}
	s := c.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	u := &upload{
		ID: s.newID("upload"), Account: c.account, Upstream: c.upstream(), Extension: extension,
		Ticket: s.opts.Kkiai.Ticket, Created: now, Expires: now.Add(s.opts.Kkiai.TicketLife),
	}
	if err := s.record(&event{Time: now, Upload: u}); err != nil {
		return c.broken()
	}
	a := answerJSON(http.StatusOK, s.ticket(u, c.base()))
	a.changed = true
	return a
}

// withUpload runs a step with an upload of the account, under the lock.
func (c *call) withUpload(step func(u *upload, now time.Time) answer) answer {
	s := c.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.advance(now)
	u := s.state.uploads[c.http.PathValue("id")]
	if u == nil && !c.unknown() || u != nil && !c.owns(u.Account) {
		return c.no(http.StatusNotFound, "upload not found")
	}
	return step(u, now)
}

// outOfOrder refuses a step that came before another was done. The caller
// holds mu.
func (c *call) outOfOrder(detail string) answer {
	c.sim.conduct.StepsOutOfOrder++
	return c.no(http.StatusBadRequest, detail)
}

// repeated answers a step that was already done. The caller holds mu.
func (c *call) repeated(same any, detail string) answer {
	c.sim.conduct.RepeatedSteps++
	if c.sim.opts.Kkiai.Repeat == repeatRefused {
		return c.no(http.StatusBadRequest, detail)
	}
	a := answerJSON(http.StatusOK, same)
	a.changed = true
	return a
}

func kkiaiDoFinish(c *call) answer {
	for _, field := range []string{"upload_type", "upload_filename"} {
		if _, ok := c.text(field); !ok {
			return c.missing(field)
		}
	}
	if kind, _ := c.text("upload_type"); !slices.Contains(kkiaiUploadTypes, kind) {
		return c.bad("unknown upload_type")
	}
	return c.withUpload(func(u *upload, now time.Time) answer {
		switch {
		case u.finish != nil:
			return c.repeated(struct{}{}, "upload already finished")
		case u.stored == nil:
			return c.outOfOrder("file was not uploaded")
		}
		s := c.sim
		name, _ := c.text("upload_filename")
		reported := &finish{Filename: name, Took: s.opts.UploadTime.draw(s.dice.fraction("took/"+c.name, c.number))}
		if c.plan.has(OperationFailed) {
			s.fired[OperationFailed]++
			reported.Reason = matchesExisting
		}
		if err := s.record(&event{Time: now, Step: &uploadStep{Upload: u.ID, Finish: reported}}); err != nil {
			return c.broken()
		}
		s.fetch.add(download{state: s.state, upload: u})
		a := answerJSON(http.StatusOK, struct{}{})
		a.changed = true
		return a
	})
}

// kkiaiUploadTypes are what the service behind the gateway knows.
var kkiaiUploadTypes = []string{
	"file_upload", "studio_file_upload", "audio_recording", "voice_recording", "video_recording",
	"marketplace_submission", "stem_mix", "external_daw_sample",
}

func kkiaiDoUpload(c *call) answer {
	return c.withUpload(func(u *upload, now time.Time) answer {
		s := c.sim
		s.polled(&u.lastPoll, now)
		out := map[string]any{
			"id": u.ID, "status": u.status(now, s.opts.Kkiai.Done), "error_message": nil,
			"s3_id": nil, "title": "", "image_url": nil,
		}
		if u.finish != nil {
			out["title"] = strings.TrimSuffix(u.finish.Filename, path.Ext(u.finish.Filename))
		}
		if !u.ended(now) {
			return answerJSON(http.StatusOK, out)
		}
		if reason := u.failure(); reason != "" {
			out["error_message"] = reason
			return answerJSON(http.StatusOK, out)
		}
		out["s3_id"], out["image_url"] = "m_"+derive(u.ID, "s3"), c.link("image_"+u.clip()+".jpeg")
		look := diceOf(u.clip())
		out["has_vocal"] = look.pick("vocal", 0, 2) == 1
		out["display_tags"] = displayTags[look.pick("tags", 0, len(displayTags))]
		return answerJSON(http.StatusOK, out)
	})
}

// kkiaiDoInitialize makes the clip. HTTP 400 means "not yet" as well as "never":
// the documents do not tell them apart.
func kkiaiDoInitialize(c *call) answer {
	if c.meets(BotCheck) {
		return answer{status: http.StatusBadRequest, media: "text/html; charset=utf-8"}
	}
	return c.withUpload(func(u *upload, now time.Time) answer {
		made := map[string]any{"clip_id": u.clip()}
		switch {
		case u.initialized:
			return c.repeated(made, "clip already initialized")
		case !u.ended(now):
			return c.outOfOrder("audio is not processed")
		case u.failure() != "":
			return c.no(http.StatusBadRequest, "audio is not processed")
		}
		if err := c.sim.record(&event{Time: now, Step: &uploadStep{Upload: u.ID, Initialized: true}}); err != nil {
			return c.broken()
		}
		a := answerJSON(http.StatusOK, made)
		a.changed = true
		return a
	})
}

// look examines a reported file and records what it is. The bytes are not
// needed after that.
func (s *Simulator) look(d download) {
	seen := found{Length: assumedLength}
	if !s.opts.NoFetch {
		seen = s.lookAt(d.upload.ID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Err() != nil || s.state != d.state {
		return
	}
	s.note(&event{Time: s.now(), Step: &uploadStep{Upload: d.upload.ID, Found: &seen}})
	if err := s.files.drop(d.upload.ID); err != nil {
		s.opts.Log.Warn("simulator file", slog.Any("error", err))
	}
}

func (s *Simulator) lookAt(id string) found {
	f, err := s.files.open(id)
	if err != nil {
		return found{Reason: "Uploaded file not found"}
	}
	defer func() { _ = f.Close() }()
	seen := examine(f)
	return found{Length: seen.Length, Reason: seen.Reason}
}
