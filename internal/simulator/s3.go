package simulator

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The storage: the S3 leg of kkiai's uploads, under /s3/<bucket>/. It holds to
// what S3 documents of presigned requests, in S3's words, as far as a client can
// tell: what signs a ticket need not be Amazon's algorithm, since clients are to
// copy tickets, never to make them.

const (
	storageEndpoint = "s3"
	storageBucket   = "suno-uploads"
	// maxObject is the limit of the service behind the gateway.
	maxObject = 524_288_000
)

func (s *Simulator) routeStorage() {
	s.classes[storageEndpoint] = storage
	s.mux.HandleFunc("PUT /s3/{bucket}/{key...}", func(w http.ResponseWriter, r *http.Request) { s.serveTransfer(w, r, (*transfer).put) })
	s.mux.HandleFunc("POST /s3/{bucket}/{$}", func(w http.ResponseWriter, r *http.Request) { s.serveTransfer(w, r, (*transfer).post) })
	s.mux.HandleFunc("/s3/", func(w http.ResponseWriter, _ *http.Request) {
		s.count(func(c *Conduct) { c.Requests++; c.UnknownPaths++ })
		denied("Access Denied").write(w)
	})
}

// refused is an error of the storage; the zero value is none.
type refused struct {
	status  int
	code    string
	message string
}

func denied(message string) refused {
	return refused{http.StatusForbidden, "AccessDenied", message}
}

func (r refused) write(w http.ResponseWriter) {
	body, err := xml.Marshal(struct {
		XMLName   xml.Name `xml:"Error"`
		Code      string
		Message   string
		RequestID string `xml:"RequestId"`
		HostID    string `xml:"HostId"`
	}{Code: r.code, Message: r.message, RequestID: "4442587FB7D0A2F9", HostID: "simulator"})
	if err != nil { // nothing in it can fail to encode
		panic("simulator: " + err.Error())
	}
	body = append([]byte(xml.Header), body...)
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(r.status)
	_, _ = w.Write(body) // a client that went away is no concern of a provider
}

// transfer is one request to the storage.
type transfer struct {
	sim   *Simulator
	http  *http.Request
	plan  plan
	state *state
	body  io.Reader
	// upload is whose ticket it is, once that was checked.
	upload *upload
}

// errSevered is a transfer that a fault breaks off.
var errSevered = errors.New("connection severed")

// serveTransfer takes a transfer through checks, faults and the one of the two
// ways in.
func (s *Simulator) serveTransfer(w http.ResponseWriter, r *http.Request, receive func(*transfer) refused) {
	t := s.beginTransfer(r)
	if t.meets(Delay) && !s.pause(r) || t.meets(DropBefore) {
		cut(w)
		return
	}
	no := t.precheck()
	if no.status == 0 {
		no = receive(t)
	}
	if no.code == errSevered.Error() || no.status == 0 && t.meets(DropAfter) {
		cut(w)
		return
	}
	if no.status == 0 && t.meets(ErrorAfter) {
		no = refused{http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again."}
	}
	if no.status != 0 {
		// Who is still sending would meet a reset instead of the reason.
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 8<<20))
		no.write(w)
		return
	}
	w.Header().Set("ETag", strconv.Quote(t.upload.ID))
	w.WriteHeader(map[string]int{http.MethodPut: http.StatusOK, http.MethodPost: http.StatusNoContent}[r.Method])
}

func (s *Simulator) beginTransfer(r *http.Request) *transfer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conduct.Requests++
	p, _ := s.planned(storageEndpoint, "") // a ticket names no account
	return &transfer{sim: s, http: r, plan: p, state: s.state, body: r.Body}
}

func (t *transfer) meets(k Kind) bool {
	if t.plan.has(k) {
		t.sim.count(func(*Conduct) { t.sim.fired[k]++ })
		return true
	}
	return false
}

// precheck refuses what is wrong whatever the ticket says. A key of the API in
// a request to somebody else's storage is the gravest of it: it is leaked.
func (t *transfer) precheck() refused {
	switch {
	case t.http.Header.Get("Authorization") != "":
		t.sim.count(func(c *Conduct) { c.LeakedKeys++ })
		return refused{http.StatusBadRequest, "InvalidArgument", "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified"}
	case t.http.ContentLength < 0:
		t.sim.count(func(c *Conduct) { c.ChunkedBodies++ })
		return refused{http.StatusLengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header."}
	case t.http.PathValue("bucket") != storageBucket:
		return refused{http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist"}
	case t.meets(TicketExpired):
		return denied("Request has expired")
	}
	return refused{}
}

// claim finds the upload that a key belongs to, if its ticket has the right form.
func (t *transfer) claim(key, form string) bool {
	id, _, _ := strings.Cut(strings.TrimPrefix(key, "raw_uploads/"), ".")
	t.sim.mu.Lock()
	defer t.sim.mu.Unlock()
	u := t.state.uploads[id]
	if u == nil || u.key() != key || u.Ticket != form {
		return false
	}
	t.upload = u
	return true
}

// forged refuses a ticket that this simulator did not write.
func (t *transfer) forged(no refused) refused {
	t.sim.count(func(c *Conduct) { c.ForgedTickets++ })
	return no
}

// expired refuses a ticket that was good once.
func (t *transfer) expired(message string) refused {
	t.sim.count(func(c *Conduct) { c.ExpiredTickets++ })
	return denied(message)
}

var signatureMismatch = refused{
	http.StatusForbidden, "SignatureDoesNotMatch",
	"The request signature we calculated does not match the signature you provided. Check your key and signing method.",
}

// put takes a presigned PUT: the body is the file.
func (t *transfer) put() refused {
	query := t.http.URL.Query()
	if query.Get("X-Amz-Signature") == "" {
		return t.forged(denied("Access Denied"))
	}
	if !t.claim(t.http.PathValue("key"), ticketPut) {
		return t.forged(signatureMismatch)
	}
	want := t.upload.presign(t.http.URL.Path, query)
	if !hmac.Equal([]byte(query.Get("X-Amz-Signature")), []byte(want)) {
		return t.forged(signatureMismatch)
	}
	if t.sim.now().After(t.upload.Expires) {
		return t.expired("Request has expired")
	}
	if t.http.ContentLength > maxObject {
		return refused{http.StatusBadRequest, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size"}
	}
	return t.keep(t.http.Body)
}

// keep stores the file and records that it is there.
func (t *transfer) keep(body io.Reader) refused {
	s := t.sim
	s.mu.Lock()
	reported := t.upload.finish != nil
	s.mu.Unlock()
	if reported {
		// The ticket is still good, and the file is with the provider already.
		s.count(func(c *Conduct) { c.StepsOutOfOrder++ })
		_, err := io.Copy(io.Discard, body)
		return spoiltBy(err)
	}
	if t.meets(TransferCut) {
		body = io.MultiReader(io.LimitReader(body, t.http.ContentLength/2), severed{})
	}
	kept, err := s.files.keep(t.upload.ID, body, maxObject)
	if err != nil {
		return spoiltBy(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != t.state || t.upload.finish != nil {
		return refused{}
	}
	if err := s.record(&event{Time: s.now(), Step: &uploadStep{Upload: t.upload.ID, Stored: &kept}}); err != nil {
		return spoiltBy(err)
	}
	return refused{}
}

// severed is where a connection breaks.
type severed struct{}

// Read implements io.Reader.
func (severed) Read([]byte) (int, error) { return 0, errSevered }

func spoiltBy(err error) refused {
	switch {
	case err == nil:
		return refused{}
	case errors.Is(err, errSevered):
		return refused{http.StatusBadRequest, errSevered.Error(), ""}
	case errors.Is(err, errTooLarge):
		return refused{http.StatusBadRequest, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size"}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.Canceled):
		return refused{http.StatusBadRequest, "IncompleteBody", "The request body terminated unexpectedly"}
	}
	return refused{http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again."}
}

// ticket is what the authorization answers: where the file goes. The caller
// holds mu.
func (s *Simulator) ticket(u *upload, base string) map[string]any {
	bucket := base + "/s3/" + storageBucket + "/"
	if u.Ticket == ticketPost {
		return map[string]any{"id": u.ID, "url": bucket, "fields": s.formFields(u), "is_file_uploaded": false}
	}
	query := url.Values{
		"X-Amz-Algorithm":     {"AWS4-HMAC-SHA256"},
		"X-Amz-Credential":    {"AKIASIMULATOR/" + u.Created.Format("20060102") + "/us-east-1/s3/aws4_request"},
		"X-Amz-Date":          {u.Created.Format(amzTime)},
		"X-Amz-Expires":       {strconv.Itoa(int(u.Expires.Sub(u.Created) / time.Second))},
		"X-Amz-SignedHeaders": {"host"},
	}
	query.Set("X-Amz-Signature", u.presign("/s3/"+storageBucket+"/"+u.key(), query))
	return map[string]any{"upload_id": u.ID, "upload_url": bucket + u.key() + "?" + query.Encode()}
}

const amzTime = "20060102T150405Z"

// presign signs a path and every parameter but the signature itself.
func (u *upload) presign(path string, query url.Values) string {
	signed := maps.Clone(query)
	signed.Del("X-Amz-Signature")
	return u.sign("PUT\n" + path + "\n" + signed.Encode())
}

// sign has a secret of its own for each upload, so that it is the same one after
// a restart.
func (u *upload) sign(text string) string {
	code := hmac.New(sha256.New, []byte(derive(u.ID, "storage secret")))
	_, _ = io.WriteString(code, text) // documented never to fail
	return hex.EncodeToString(code.Sum(nil))
}
