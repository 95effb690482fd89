package simulator

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"time"
)

// The form: S3's presigned POST. The policy says what the form may contain, the
// signature that the policy is genuine, and the file comes last: S3 ignores
// whatever follows it.

// policy is the signed document.
type policy struct {
	Expiration time.Time `json:"expiration"`
	Conditions []any     `json:"conditions"`
}

var mediaTypes = map[string]string{
	"mp3": "audio/mpeg", "m4a": "audio/mp4", "wav": "audio/wav", "flac": "audio/flac", "ogg": "audio/ogg", "aac": "audio/aac",
}

// formFields are the fields of a ticket, all of which the client sends as they
// are. Captures show two sets of names for the signature; the seed chooses.
func (s *Simulator) formFields(u *upload) map[string]string {
	fields := map[string]string{"Content-Type": mediaTypes[u.Extension], "key": u.key()}
	named := "signature"
	if s.dice.pick("s3/form", 0, 2) == 0 {
		fields["AWSAccessKeyId"] = "AKIASIMULATOR"
	} else {
		named = "x-amz-signature"
		fields["x-amz-algorithm"] = "AWS4-HMAC-SHA256"
		fields["x-amz-credential"] = "AKIASIMULATOR/" + u.Created.Format("20060102") + "/us-east-1/s3/aws4_request"
		fields["x-amz-date"] = u.Created.Format(amzTime)
	}
	p := policy{Expiration: u.Expires, Conditions: []any{
		map[string]string{"bucket": storageBucket}, []any{"content-length-range", 0, maxObject},
	}}
	for _, name := range []string{"Content-Type", "key", "x-amz-algorithm", "x-amz-credential", "x-amz-date"} {
		if value, has := fields[name]; has {
			p.Conditions = append(p.Conditions, []any{"eq", "$" + name, value})
		}
	}
	text, err := json.Marshal(p)
	if err != nil { // nothing in it can fail to encode
		panic("simulator: " + err.Error())
	}
	fields["policy"] = base64.StdEncoding.EncodeToString(text)
	fields[named] = u.sign(fields["policy"])
	return fields
}

const maxField = 20 << 10 // S3's limit on a form without its file

// post takes a form.
func (t *transfer) post() refused {
	form, err := t.http.MultipartReader()
	if err != nil {
		return t.badForm("The body of your POST request is not well-formed multipart/form-data.")
	}
	fields, file, no := t.readFields(form)
	if no.status != 0 {
		return no
	}
	if no := t.checkForm(fields); no.status != 0 {
		return no
	}
	if no := t.keep(file); no.status != 0 {
		return no
	}
	// What follows the file means nothing, but it has to be there to the end:
	// a torn body has no closing boundary.
	for {
		if _, err := form.NextPart(); err != nil {
			return endOfForm(err)
		}
	}
}

func endOfForm(err error) refused {
	if errors.Is(err, io.EOF) {
		return refused{}
	}
	return spoiltBy(io.ErrUnexpectedEOF)
}

func (t *transfer) badForm(message string) refused {
	t.sim.count(func(c *Conduct) { c.BadRequests++ })
	return refused{http.StatusBadRequest, "InvalidArgument", message}
}

// readFields reads up to the file.
func (t *transfer) readFields(form *multipart.Reader) (map[string]string, io.Reader, refused) {
	fields := map[string]string{}
	size := 0
	for {
		part, err := form.NextPart()
		switch {
		case errors.Is(err, io.EOF):
			return nil, nil, t.badForm("POST requires exactly one file upload per request.")
		case err != nil:
			return nil, nil, t.badForm("The body of your POST request is not well-formed multipart/form-data.")
		case part.FormName() == "file":
			return fields, part, refused{}
		}
		value, err := io.ReadAll(io.LimitReader(part, maxField+1))
		if size += len(value); err != nil || size > maxField {
			return nil, nil, t.badForm("Your POST request fields preceding the upload file were too large.")
		}
		fields[part.FormName()] = string(value)
	}
}

// checkForm holds the fields against the policy and the policy against its
// signature.
func (t *transfer) checkForm(fields map[string]string) refused {
	for _, name := range []string{"key", "policy"} {
		if fields[name] == "" {
			return t.badForm("Bucket POST must contain a field named '" + name + "'.  If it is specified, please check the order of the fields.")
		}
	}
	if !t.claim(fields["key"], ticketPost) {
		return t.forged(denied("Invalid according to Policy: Policy Condition failed: [\"eq\", \"$key\"]"))
	}
	signature := fields["signature"] + fields["x-amz-signature"]
	if !hmac.Equal([]byte(signature), []byte(t.upload.sign(fields["policy"]))) {
		return t.forged(signatureMismatch)
	}
	text, err := base64.StdEncoding.DecodeString(fields["policy"])
	var p policy
	if err = errors.Join(err, json.Unmarshal(text, &p)); err != nil { // its signature was good
		panic("simulator: " + err.Error())
	}
	if t.sim.now().After(p.Expiration) {
		return t.expired("Invalid according to Policy: Policy expired.")
	}
	return t.checkConditions(p, fields)
}

// unsigned are fields that a policy need not mention.
var unsigned = map[string]bool{"policy": true, "signature": true, "x-amz-signature": true, "AWSAccessKeyId": true}

func (t *transfer) checkConditions(p policy, fields map[string]string) refused {
	covered := map[string]bool{}
	for _, c := range p.Conditions {
		list, is := c.([]any)
		if !is || list[0] != "eq" {
			continue
		}
		name := strings.TrimPrefix(fmt.Sprint(list[1]), "$")
		covered[name] = true
		if fields[name] != list[2] {
			return t.forged(denied(fmt.Sprintf("Invalid according to Policy: Policy Condition failed: [\"eq\", \"$%s\", \"%v\"]", name, list[2])))
		}
	}
	for name := range fields {
		if !covered[name] && !unsigned[name] {
			return t.forged(denied("Invalid according to Policy: Extra input fields: " + name))
		}
	}
	return refused{}
}
