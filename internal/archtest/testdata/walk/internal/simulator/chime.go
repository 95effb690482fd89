package simulator

import "net/http"

// chime is a provider that exists in CONTRIBUTING.md alone.
func chime() []endpoint {
	endpoints := []endpoint{
		{name: "chime.upload", pattern: "POST /chime/uploads", class: paid, handle: chimeDoUpload, fields: []string{"url"}},
		{name: "chime.extend", pattern: "POST /chime/extensions", class: paid, handle: chimeDoExtend, fields: []string{"clip", "at", "model", "prompt"}},
		{name: "chime.operation", pattern: "GET /chime/operations/{id}", class: status, handle: chimeDoOperation},
		{name: "chime.balance", pattern: "GET /chime/balance", class: reads, handle: mountseaDoCredits},
	}
	for i := range endpoints {
		endpoints[i].key = bearer
		endpoints[i].refuse = func(_ *Simulator, why refusal) answer {
			return answerJSON(why.status, map[string]string{"error": why.detail})
		}
	}
	return endpoints
}

func chimeDoUpload(c *call) answer {
	address, refused := c.audio("url")
	if refused != nil {
		return *refused
	}
	return c.chimeAccept(&operation{AudioURL: address, Tracks: 1}, c.sim.opts.UploadTime)
}

func chimeDoExtend(c *call) answer {
	id, _ := c.text("clip")
	o := &operation{Task: "extend", Tracks: 2}
	c.sim.mu.Lock()
	c.sim.advance(c.sim.now())
	_, code, reason := c.resolveClips([]string{id})
	c.sim.mu.Unlock()
	if code != 0 {
		return c.no(http.StatusNotFound, reason)
	}
	return c.chimeAccept(o, c.sim.opts.ExtendTime)
}

func (c *call) chimeAccept(o *operation, t Timing) answer {
	if refused := c.accept(o, t); refused != nil {
		return *refused
	}
	a := answerJSON(http.StatusAccepted, map[string]string{"id": o.ID})
	a.changed, a.operation = true, o.ID
	return a
}

func chimeDoOperation(c *call) answer {
	s := c.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.advance(now)
	o := s.state.operations[c.http.PathValue("id")]
	if o == nil || o.Provider != c.provider() || !c.owns(o.Account) {
		return c.no(http.StatusNotFound, "there is no such operation")
	}
	s.asked(o, now)
	said := map[string]any{"id": o.ID, "state": "working"}
	switch {
	case o.ended && o.Fate != succeeds:
		said["state"], said["reason"] = "failed", o.Reason
	case o.ended && o.Task == "":
		said["state"], said["clip"] = "done", o.clip(0)
	case o.ended:
		tracks := make([]map[string]string, o.Tracks)
		for i := range tracks {
			tracks[i] = map[string]string{"id": o.clip(i), "url": c.link(o.clip(i) + ".mp3")}
		}
		said["state"], said["tracks"] = "done", tracks
	}
	return answerJSON(http.StatusOK, said)
}
