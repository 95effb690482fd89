package simulator

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const cdnEndpoint = "cdn"

// published is a result file as the CDN knows it.
type published struct {
	id        string
	title     string
	frames    int
	created   time.Time
	operation string
	index     int
	state     *state
	// partial files belong to operations that still stream.
	partial bool
	plan    plan
}

// serveFile serves a track or its cover. Like a CDN it asks for no key.
func (s *Simulator) serveFile(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" {
		s.count(func(n *Conduct) { n.LeakedKeys++ })
	}
	name := r.PathValue("file")
	if id, is := strings.CutSuffix(name, ".jpeg"); is {
		s.serveCover(w, r, strings.TrimPrefix(id, "image_"))
		return
	}
	// A name without a suffix is the live stream of a track.
	id, whole := strings.CutSuffix(name, ".mp3")
	p, found := s.publish(id, !whole)
	if !found || p.plan.has(CDNMissing) {
		http.Error(w, "NoSuchKey", http.StatusNotFound)
		return
	}
	if p.plan.has(CDNPage) {
		writePage(w, http.StatusOK)
		return
	}
	s.serveTrack(w, r, p)
}

// publish finds a finished or streaming track and plans the request's faults.
func (s *Simulator) publish(id string, live bool) (published, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.advance(now)
	s.conduct.Requests++
	ref, known := s.state.clips[id]
	if !known {
		s.conduct.UnknownIDs++
		return published{}, false
	}
	o := ref.made
	whole := o.finished(ref.index, now)
	partial := live && whole || !whole && o.streams(now)
	switch {
	case o.Vanished:
		return published{}, false
	case o.expired(s, now):
		s.conduct.ExpiredResults++
		return published{}, false
	case !whole && !live:
		s.conduct.EarlyDownloads++
	}
	if !whole && !partial {
		return published{}, false
	}
	p, _ := s.planned(cdnEndpoint, o.Account)
	if o.attempts[ref.index]++; o.attempts[ref.index] > 1 {
		p = p.without(CDNMissing)
	}
	for _, k := range p {
		s.fired[k]++ // each of them has its effect, or one that hides it
	}
	frames := s.framesOf(o, ref.index)
	if !whole {
		frames /= 2
	}
	return published{
		id: id, title: o.title(), frames: frames, created: o.Created,
		operation: o.ID, index: ref.index, state: s.state, partial: partial, plan: p,
	}, true
}

func (s *Simulator) serveTrack(w http.ResponseWriter, r *http.Request, p published) {
	w.Header().Set("Content-Type", "audio/mpeg")
	if p.partial {
		// No length, no ETag, no ranges: what a live stream offers. A client
		// that keeps this as the result has half a song.
		_, _ = io.Copy(w, newTrack(p.id, p.title, p.frames))
		return
	}
	w.Header().Set("ETag", etag(p.id, p.frames))
	content := newTrack(p.id, p.title, p.frames)
	out := &meter{ResponseWriter: w, sim: s, request: r, file: p, size: content.Size()}
	http.ServeContent(out, r, "", p.created.Truncate(time.Second), content)
}

func (s *Simulator) delivered(p published) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != p.state || s.state.operations[p.operation].downloaded[p.index] {
		return
	}
	s.note(&event{Time: s.now(), Downloaded: &downloaded{Operation: p.operation, Track: p.index}})
}

// meter counts what is sent, lets faults happen halfway, and notes when the end
// of the file leaves.
type meter struct {
	http.ResponseWriter
	sim     *Simulator
	request *http.Request
	file    published
	size    int64
	sent    int64
	// last is how much will have been sent when the file's last byte was; 0
	// when this answer does not contain it.
	last   int64
	paused bool
}

// WriteHeader implements http.ResponseWriter.
func (m *meter) WriteHeader(code int) {
	end := fmt.Sprintf("-%d/%d", m.size-1, m.size)
	if code == http.StatusOK || code == http.StatusPartialContent && strings.HasSuffix(m.Header().Get("Content-Range"), end) {
		m.last, _ = strconv.ParseInt(m.Header().Get("Content-Length"), 10, 64) // set by ServeContent
	}
	m.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (m *meter) Write(p []byte) (int, error) {
	room := m.size/2 - m.sent
	if room < 0 || int64(len(p)) <= room || m.file.plan.first(CDNCut, CDNSlow) == "" {
		return m.pass(p)
	}
	n, err := m.pass(p[:room])
	if err != nil {
		return n, err
	}
	m.interrupt()
	rest, err := m.pass(p[room:])
	return n + rest, err
}

// interrupt happens once, halfway: the half is flushed, then the connection is
// cut or stands still.
func (m *meter) interrupt() {
	if m.paused {
		return
	}
	m.paused = true
	_ = http.NewResponseController(m.ResponseWriter).Flush() // a writer that cannot flush still cuts
	if m.file.plan.has(CDNCut) || !m.sim.pause(m.request) {
		panic(http.ErrAbortHandler)
	}
}

// pass notes the delivery before the last byte leaves: afterwards, the client
// might ask for the verdict before it is noted.
func (m *meter) pass(p []byte) (int, error) {
	if m.last > 0 && m.sent+int64(len(p)) >= m.last {
		m.sim.delivered(m.file)
	}
	n, err := m.ResponseWriter.Write(p)
	m.sent += int64(n)
	return n, err
}

// serveCover draws a small gradient whose colours depend on the id.
func (s *Simulator) serveCover(w http.ResponseWriter, r *http.Request, id string) {
	s.mu.Lock()
	_, made := s.state.clips[id]
	_, uploaded := s.state.uploaded[id]
	s.mu.Unlock()
	if !made && !uploaded {
		http.Error(w, "NoSuchKey", http.StatusNotFound)
		return
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, cover(id), nil); err != nil { // a buffer takes everything
		panic("simulator: " + err.Error())
	}
	w.Header().Set("Content-Type", "image/jpeg")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file.Bytes()))
}

func cover(id string) image.Image {
	const side = 64
	tone := diceOf(id).number("cover", 0)
	red, green, blue := uint8(tone), uint8(tone>>8), uint8(tone>>16)
	canvas := image.NewRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			canvas.SetRGBA(x, y, color.RGBA{red + uint8(2*x), green + uint8(2*y), blue, 255})
		}
	}
	return canvas
}
