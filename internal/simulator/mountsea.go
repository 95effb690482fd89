package simulator

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The endpoints of MountSea.
const (
	mountseaUpload   = "mountsea.upload"
	mountseaSession  = "mountsea.session"
	mountseaItem     = "mountsea.item"
	mountseaStatus   = "mountsea.status"
	mountseaGenerate = "mountsea.generate"
	mountseaSchema   = "mountsea.schema"
	mountseaPlaylist = "mountsea.playlist"
	mountseaCredits  = "mountsea.credits"
	mountseaServices = "mountsea.services"
	mountseaPoints   = "mountsea.points"
	mountseaUsage    = "mountsea.usage"
)

// mountsea is the provider of the batch upload sessions: its API under
// /mountsea, its credits host under /mountsea-credits.
func mountsea() []endpoint {
	endpoints := []endpoint{
		{name: mountseaUpload, pattern: "POST /mountsea/suno/v2/upload", class: paid | entered, handle: mountseaDoUpload, fields: []string{"audioUrl"}},
		{name: mountseaSession, pattern: "POST /mountsea/suno/v2/audio/upload/session", class: creates, handle: mountseaDoSession},
		{name: mountseaItem, pattern: "POST /mountsea/suno/v2/audio/upload/session/item", class: paid | entered, handle: mountseaDoItem, fields: []string{"sessionId", "audioUrl"}},
		{name: mountseaStatus, pattern: "GET /mountsea/suno/v2/status", class: status, handle: mountseaDoStatus},
		{name: mountseaGenerate, pattern: "POST /mountsea/suno/v2/generate", class: paid | entered, handle: mountseaDoGenerate, fields: generateFieldNames()},
		{name: mountseaSchema, pattern: "GET /mountsea/suno/v2/generate/schema", class: reads, handle: mountseaDoSchema},
		{name: mountseaPlaylist, pattern: "POST /mountsea/suno/v2/playlist/create", class: creates, handle: mountseaDoPlaylist, fields: []string{"clip_ids", "name"}},
		{name: mountseaCredits, pattern: "GET /mountsea-credits/api-user/credits", class: reads | purse, handle: mountseaDoCredits},
		{name: mountseaServices, pattern: "GET /mountsea-credits/api-user/services", class: reads | purse, handle: mountseaDoServices},
		{name: mountseaPoints, pattern: "POST /mountsea-credits/api-user/points/search", class: reads | purse | books, handle: mountseaDoPoints, fields: searchFields},
		{name: mountseaUsage, pattern: "POST /mountsea-credits/api-user/usage/search", class: reads | purse | books, handle: mountseaDoUsage, fields: searchFields},
	}
	for i := range endpoints {
		endpoints[i].refuse = mountseaRefuse
		endpoints[i].key = bearer
		if strings.Contains(endpoints[i].pattern, " /mountsea-credits/") {
			endpoints[i].key = mountseaKey
		}
	}
	return endpoints
}

func bearer(r *http.Request) string {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(key)
}

// mountseaKey finds the key where the credits host takes it, which is not where
// the API does.
func mountseaKey(r *http.Request) string {
	if key := r.Header.Get("X-API-Key"); key != "" {
		return key
	}
	return r.URL.Query().Get("key")
}

// mountseaRefuse words an error. The documents show no error body of the
// gateway at all, so there are three forms, one per seed: that of the web
// framework their operation names point to, a nested error object, and a code
// with a message. A client can only rely on the HTTP status.
func mountseaRefuse(s *Simulator, why refusal) answer {
	title := http.StatusText(why.status)
	if why.status == statusMaintenance {
		title = "System Maintenance"
	}
	detail := why.detail
	if detail == "" {
		detail = title
	}
	switch s.dice.pick("mountsea/error form", 0, 3) {
	case 0:
		return answerJSON(why.status, map[string]any{"statusCode": why.status, "message": []string{detail}, "error": title})
	case 1:
		name := strings.ToLower(strings.ReplaceAll(title, " ", "_"))
		return answerJSON(why.status, map[string]any{"error": map[string]any{"code": name, "message": detail}})
	}
	return answerJSON(why.status, map[string]any{"code": why.status, "message": detail, "data": nil})
}

// created is the HTTP status of synchronous creations and of generate. Only
// uploads are documented (201); for the rest the documents give 200 and 201 in
// different places, so the seed decides.
func (c *call) created() int {
	return http.StatusOK + c.sim.dice.pick("mountsea/created", 0, 2)
}

func mountseaDoUpload(c *call) answer {
	address, refused := c.audio("audioUrl")
	if refused != nil {
		return *refused
	}
	// A single upload lands on whatever upstream account is free: clips of two
	// of them need not go together.
	o := &operation{AudioURL: address, Tracks: 1, Upstream: c.upstream()}
	return c.task(http.StatusCreated, o, c.sim.opts.UploadTime)
}

// task accepts an operation and answers with its id.
func (c *call) task(code int, o *operation, t Timing) answer {
	if refused := c.accept(o, t); refused != nil {
		return *refused
	}
	a := answerJSON(code, map[string]any{"taskId": o.ID})
	a.changed, a.operation = true, o.ID
	return a
}

// mountseaDoSession needs no body. The upstream account is chosen now and stays.
func mountseaDoSession(c *call) answer {
	s := c.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	made := &session{ID: s.newID("session"), Account: c.account, Upstream: c.upstream(), Created: s.now()}
	if err := s.record(&event{Time: made.Created, Session: made}); err != nil {
		return c.broken()
	}
	a := answerJSON(c.created(), map[string]any{"sessionId": made.ID})
	a.changed = true
	return a
}

func mountseaDoItem(c *call) answer {
	id, ok := c.text("sessionId")
	if !ok {
		return c.missing("sessionId")
	}
	address, refused := c.audio("audioUrl")
	if refused != nil {
		return *refused
	}
	in, found := c.ownSession(id)
	if !found {
		return c.no(http.StatusNotFound, "Session not found")
	}
	o := &operation{AudioURL: address, Tracks: 1, Session: in.ID, Upstream: in.Upstream}
	return c.task(http.StatusCreated, o, c.sim.opts.UploadTime)
}

func (c *call) ownSession(id string) (*session, bool) {
	c.sim.mu.Lock()
	defer c.sim.mu.Unlock()
	in := c.sim.state.sessions[id]
	return in, in != nil && c.owns(in.Account) || in == nil && c.unknown()
}

// stamp writes a time as the documents' examples do.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// positive reads a whole number of at least 1 from a JSON number.
func positive(v any, otherwise int) (int, bool) {
	if v == nil {
		return otherwise, true
	}
	n, ok := v.(float64)
	whole, err := strconv.Atoi(strconv.FormatFloat(n, 'f', -1, 64))
	return whole, ok && err == nil && whole >= 1
}
