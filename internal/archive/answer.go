package archive

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/egress"
	"github.com/segue-audio/segue/internal/fault"
)

// accept looks at an answer's head and readies the part for its body. again says
// that the body is of no use, but that a request for everything will be.
func (in *intake) accept(response *http.Response, host string, p *part) (again bool, err error) {
	switch response.StatusCode {
	case http.StatusOK:
		return false, in.acceptWhole(response, host, p)
	case http.StatusPartialContent:
		return in.acceptRest(response, host, p)
	case http.StatusRequestedRangeNotSatisfiable:
		if p.size > 0 {
			return startOver(host, p)
		}
	}
	return false, refusal(keepOp, response, host)
}

func (in *intake) acceptWhole(response *http.Response, host string, p *part) error {
	if err := in.checkHead(response, host, response.ContentLength); err != nil {
		return err
	}
	return p.begin(markOf(response))
}

// acceptRest makes sure that the body continues exactly what is here. RFC 9110
// lets a client combine parts only when the server's validator says that they
// are of the same bytes.
func (in *intake) acceptRest(response *http.Response, host string, p *part) (again bool, err error) {
	if p.size == 0 {
		return false, failed(fault.Malformed, keepOp, fmt.Errorf("%s: a part of the file came where all of it was asked for", host))
	}
	start, total, ok := parseContentRange(response.Header.Get("Content-Range"))
	switch {
	case !ok || start != p.size:
		return false, failed(fault.Malformed, keepOp, fmt.Errorf("%s: bytes from %d on were asked for, and others came", host, p.size))
	case p.mark.changed(response.Header), total >= 0 && p.mark.Length >= 0 && total != p.mark.Length:
		return startOver(host, p)
	}
	if p.mark.Length < 0 {
		p.mark.Length = total
	}
	return false, in.checkHead(response, host, total)
}

// startOver drops bytes that the server no longer has. Once in a call will do:
// a server that changes its mind again and again is left to the queue's patience.
func startOver(host string, p *part) (again bool, err error) {
	if err := p.reset(); err != nil {
		return false, err
	}
	p.restarts++
	return p.restarts == 1, failed(fault.Unavailable, keepOp, fmt.Errorf("%s: the file changed while it was downloaded", host))
}

// checkHead refuses what is known to be useless before its body is read.
func (in *intake) checkHead(response *http.Response, host string, length int64) error {
	// Objects that were uploaded to S3 in signed chunks carry "aws-chunked" for
	// ever, though they are delivered as they are.
	switch encoding := strings.ToLower(response.Header.Get("Content-Encoding")); encoding {
	case "", "identity", "aws-chunked":
	default:
		return failed(fault.Malformed, keepOp, fmt.Errorf("%s: the answer is compressed, which was not asked for", host))
	}
	if length > in.maxBytes {
		return failed(fault.Malformed, keepOp, fmt.Errorf("%s: %d bytes announced; at most %d are accepted", host, length, in.maxBytes))
	}
	return nil
}

// markOf describes the body of a whole answer.
func markOf(response *http.Response) mark {
	m := mark{Length: response.ContentLength}
	if tag := response.Header.Get("ETag"); isStrong(tag) {
		m.ETag = tag
	}
	if modified := response.Header.Get("Last-Modified"); settled(modified, response.Header.Get("Date")) {
		m.LastModified = modified
	}
	return m
}

// condition is what If-Range carries. A tag says more than a time.
func (m mark) condition() string {
	if m.ETag != "" {
		return m.ETag
	}
	return m.LastModified
}

// changed reports whether an answer is of other bytes than the mark, for servers
// that do not look at If-Range. What an answer leaves out has not changed.
func (m mark) changed(header http.Header) bool {
	if tag := header.Get("ETag"); m.ETag != "" && tag != "" {
		return tag != m.ETag
	}
	modified := header.Get("Last-Modified")
	return m.LastModified != "" && modified != "" && modified != m.LastModified
}

func isStrong(tag string) bool {
	return len(tag) > 2 && tag[0] == '"' && tag[len(tag)-1] == '"'
}

// settled reports whether a time of change is so long past that a second change
// would have another: RFC 9110, 8.8.2.2.
func settled(modified, date string) bool {
	changed, err := http.ParseTime(modified)
	if err != nil {
		return false
	}
	answered, err := http.ParseTime(date)
	return err == nil && answered.Sub(changed) >= time.Second
}

var contentRange = regexp.MustCompile(`^bytes (\d{1,18})-(\d{1,18})/(\*|\d{1,18})$`)

// parseContentRange reads where a partial body starts and how long the whole is,
// -1 where the server does not know.
func parseContentRange(text string) (start, total int64, ok bool) {
	match := contentRange.FindStringSubmatch(text)
	if match == nil {
		return 0, 0, false
	}
	// The pattern admits only what fits.
	start, _ = strconv.ParseInt(match[1], 10, 64)
	last, _ := strconv.ParseInt(match[2], 10, 64)
	if match[3] == "*" {
		return start, -1, start <= last
	}
	total, _ = strconv.ParseInt(match[3], 10, 64)
	return start, total, start <= last && last < total
}

// refusal classifies an answer that brings no file. 400 counts as denied since
// Google's storage answers so when a signature has expired.
func refusal(op string, response *http.Response, host string) error {
	code := fault.Malformed
	switch status := response.StatusCode; {
	case status == http.StatusBadRequest, status == http.StatusUnauthorized, status == http.StatusForbidden:
		code = fault.Denied
	case status == http.StatusNotFound, status == http.StatusGone:
		code = fault.NotFound
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		code = fault.Unavailable
	}
	refused := failed(code, op, fmt.Errorf("%s answered %d", host, response.StatusCode))
	refused.RetryAfter = egress.RetryAfter(response.Header)
	return refused
}
