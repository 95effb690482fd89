package simulator

import (
	"net/http"
	"strings"
)

// The endpoints of kkiai.
const (
	kkiaiAuthorize  = "kkiai.authorize"
	kkiaiFinish     = "kkiai.finish"
	kkiaiUpload     = "kkiai.upload"
	kkiaiInitialize = "kkiai.initialize"
	kkiaiSubmit     = "kkiai.submit"
	kkiaiFetch      = "kkiai.fetch"
	kkiaiBatch      = "kkiai.batch"
)

// kkiai is the provider of the six steps: upload authorization, transfer to the
// storage (see routeStorage), report, waiting, clip, continuation. Only the last
// one costs anything.
func kkiai() []endpoint {
	const uploads = " /kkiai/suno/uploads/audio"
	// Steps one to five are passed on from the service behind the gateway, the
	// rest is the gateway's own: they differ in how they refuse.
	endpoints := []endpoint{
		{name: kkiaiAuthorize, pattern: "POST" + uploads, class: creates, refuse: kkiaiRefuseUpload, handle: kkiaiDoAuthorize, fields: []string{"extension"}},
		{name: kkiaiFinish, pattern: "POST" + uploads + "/{id}/upload-finish", class: creates | processes, refuse: kkiaiRefuseUpload, handle: kkiaiDoFinish, fields: []string{"upload_type", "upload_filename"}},
		{name: kkiaiUpload, pattern: "GET" + uploads + "/{id}", class: status, refuse: kkiaiRefuseUpload, handle: kkiaiDoUpload},
		{name: kkiaiInitialize, pattern: "POST" + uploads + "/{id}/initialize-clip", class: creates | guarded, refuse: kkiaiRefuseUpload, handle: kkiaiDoInitialize, fields: []string{"user_reviewed_tags", "downbeats"}, bodyless: true},
		{name: kkiaiSubmit, pattern: "POST /kkiai/suno/submit/music", class: paid | calls, refuse: kkiaiRefuse, handle: kkiaiDoSubmit, fields: kkiaiSubmitFields()},
		{name: kkiaiFetch, pattern: "GET /kkiai/suno/fetch/{id}", class: status, refuse: kkiaiRefuse, handle: kkiaiDoFetch},
		{name: kkiaiBatch, pattern: "POST /kkiai/suno/fetch", class: status, refuse: kkiaiRefuse, handle: kkiaiDoBatch, fields: []string{"ids", "action"}},
	}
	for i := range endpoints {
		endpoints[i].key = bearer
	}
	return endpoints
}

// kkiaiRefuse words an error of the gateway: a code in words, never a number,
// under a true HTTP status. Those of bad bodies are documented for the family;
// those for keys, limits and money are not, and open-source gateways of that
// family disagree about the last: out of credits is HTTP 402 for some seeds and
// HTTP 403 with insufficient_user_quota for others.
func kkiaiRefuse(s *Simulator, why refusal) answer {
	code := map[int]string{
		http.StatusBadRequest:            "invalid_request",
		http.StatusUnauthorized:          "unauthorized",
		http.StatusPaymentRequired:       "insufficient_user_quota",
		http.StatusTooManyRequests:       "rate_limit_exceeded",
		http.StatusRequestEntityTooLarge: "invalid_request",
		statusMaintenance:                "maintenance",
		http.StatusInternalServerError:   "do_request_failed",
	}[why.status]
	status := why.status
	if status == http.StatusPaymentRequired && s.dice.pick("kkiai/quota", 0, 2) == 1 {
		status = http.StatusForbidden
	}
	return taskError(status, code, why.detail)
}

// taskError is the family's error object.
func taskError(status int, code, message string) answer {
	if message == "" {
		message = strings.ReplaceAll(code, "_", " ")
	}
	return answerJSON(status, map[string]any{"code": code, "message": message, "data": nil})
}

// kkiaiRefuseUpload words an error about an upload. The pages show none. By
// seed it is the gateway's object or that of the service behind it.
func kkiaiRefuseUpload(s *Simulator, why refusal) answer {
	if s.dice.pick("kkiai/upload error form", 0, 2) == 0 {
		return kkiaiRefuse(s, why)
	}
	detail := why.detail
	if detail == "" {
		detail = http.StatusText(why.status)
	}
	return answerJSON(why.status, map[string]any{"detail": detail})
}

// routeKkiai adds what is no endpoint: the storage, and paths that lead nowhere.
func (s *Simulator) routeKkiai() {
	s.routeStorage()
	s.classes[kkiaiCallbacks] = callback
	s.announcers["kkiai"] = kkiaiAnnouncer()
	s.mux.HandleFunc("/kkiai/", func(w http.ResponseWriter, _ *http.Request) {
		s.count(func(n *Conduct) { n.Requests++; n.UnknownPaths++ })
		write(w, taskError(http.StatusNotFound, "not_found", "Invalid URL"))
	})
}
