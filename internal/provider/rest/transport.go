package rest

import (
	"net"
	"net/http"
	"time"
)

// Transport returns a transport with the settings that paid requests want; the
// program makes one and shares it among its drivers.
//
// Idle connections are dropped after 15 s, well before the servers in use drop
// them (nginx 75 s, AWS load balancers 60 s, Cloudflare longer): a request
// written to a connection that the server is closing at that moment is lost with
// its outcome unknown. It uses no proxy; the environment is the program's to read.
// There is no timeout for a whole exchange: that is the context's.
func Transport() *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   10 * time.Second,
		IdleConnTimeout:       15 * time.Second,
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   64,
		ExpectContinueTimeout: time.Second,
	}
}
