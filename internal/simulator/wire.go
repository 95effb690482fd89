package simulator

import (
	"cmp"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// write sends an answer, or what a fault makes of it.
func (c *call) write(w http.ResponseWriter, a answer, spoiled Kind) {
	switch spoiled {
	case DropAfter:
		cut(w)
	case ErrorAfter:
		write(w, c.no(http.StatusInternalServerError, ""))
	case PageAfter:
		writePage(w, http.StatusBadGateway)
	case TruncateAfter:
		a.body = a.body[:len(a.body)/2]
		write(w, a)
	default:
		write(w, a)
	}
}

func write(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", cmp.Or(a.media, "application/json; charset=utf-8"))
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that went away is no concern of a provider
}

func writePage(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<html>\r\n<head><title>"+strconv.Itoa(status)+" Gateway</title></head>\r\n<body><center><h1>upstream</h1></center></body>\r\n</html>\r\n")
}

// answerJSON encodes an answer. What is encoded is always made here, so a
// failure is a defect.
func answerJSON(status int, body any) answer {
	text, err := json.Marshal(body)
	if err != nil {
		panic("simulator: " + err.Error())
	}
	return answer{status: status, body: text}
}

// pause waits for the configured delay; false means that the client or the
// simulator went away first.
func (s *Simulator) pause(r *http.Request) bool {
	timer := time.NewTimer(s.opts.FaultDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-s.closing.Done():
	}
	return false
}

// cut ends the connection without an answer: a TCP reset where that is
// possible, since a plain close could pass for an orderly end.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // only softens the fault when it fails
	}
	_ = conn.Close()
}
