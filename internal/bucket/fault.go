package bucket

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/minio/minio-go/v7"

	"github.com/segue-audio/segue/internal/egress"
	"github.com/segue-audio/segue/internal/fault"
)

// failed returns a fault that cost nothing: storage is not what providers bill.
func failed(code fault.Code, op string, err error) *fault.Error {
	return fault.Uncharged(code, op, err)
}

// The codes of S3 that we decide by beyond their status. Amazon's list:
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
var (
	denials = set("AccessDenied", "AllAccessDisabled", "AuthorizationHeaderMalformed", "ExpiredToken", "InvalidAccessKeyId",
		"InvalidToken", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "TokenRefreshRequired", "XAdminUserNotFound")
	// What was garbled or cut on its way, and what is over when there is room.
	passing = set("BadDigest", "IncompleteBody", "InternalError", "NoSuchUpload", "RequestTimeout", "ServiceUnavailable", "SlowDown",
		"XAmzContentSHA256Mismatch", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull", "QuotaExceeded")
	conflicts = set("ConditionalRequestConflict", "OperationAborted", "PreconditionFailed")
)

func set(codes ...string) map[string]bool {
	s := make(map[string]bool, len(codes))
	for _, code := range codes {
		s[code] = true
	}
	return s
}

// word is what a code looks like. Anything else a server sends is not repeated.
var word = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9.]{1,60}$`)

// errNotS3 is an answer without what every answer of its kind has.
var errNotS3 = errors.New("not S3")

// fault words what the library reports. name may be empty, for the whole bucket.
//
//	denied       the keys are wrong, expired, or lack a permission
//	not_found    no such bucket, or no such object
//	conflict     a condition did not hold: the object is there, or is another
//	invalid      the request can never succeed: a bad name, a bad range, what
//	             the server does not know
//	malformed    an answer that is not S3's
//	unavailable  busy, down, out of space, cut
//	timeout, canceled
func (b *Bucket) fault(op, name string, err error) *fault.Error {
	subject := b.Address(name)
	if known, ok := errors.AsType[*fault.Error](err); ok {
		return known
	}
	if answer, ok := errors.AsType[minio.ErrorResponse](err); ok {
		code, reason := judge(answer)
		return failed(code, op, fmt.Errorf("%s: %s", subject, reason))
	}
	var syntax *xml.SyntaxError
	var other xml.UnmarshalError
	if errors.As(err, &syntax) || errors.As(err, &other) || errors.Is(err, errNotS3) {
		return failed(fault.Malformed, op, fmt.Errorf("%s: what answers at %s does not speak S3", subject, b.host))
	}
	passed := egress.Fault(op, b.host, err)
	passed.Err = fmt.Errorf("%s: %w", subject, passed.Err)
	return passed
}

// judge classifies an answer and words it anew: messages of servers repeat what
// was sent.
func judge(answer minio.ErrorResponse) (fault.Code, string) {
	said := fmt.Sprintf("the store answered %d", answer.StatusCode)
	if word.MatchString(answer.Code) {
		said = fmt.Sprintf("the store answered %d %s", answer.StatusCode, answer.Code)
	}
	status := answer.StatusCode
	switch {
	case answer.Code == "NoSuchBucket":
		return fault.NotFound, "there is no such bucket"
	case answer.Code == "RequestTimeTooSkewed":
		return fault.Denied, said + ": this machine's clock is wrong"
	case answer.Code == "NotImplemented" || status == http.StatusNotImplemented:
		return fault.Invalid, said + ": it cannot do what was asked"
	case denials[answer.Code]:
		return fault.Denied, said
	case passing[answer.Code], status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= 500:
		return fault.Unavailable, said
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fault.Denied, said
	case answer.Code == "NoSuchKey":
		return fault.NotFound, "there is no such object"
	case status == http.StatusNotFound, status == http.StatusGone:
		return fault.NotFound, said
	case conflicts[answer.Code], status == http.StatusConflict, status == http.StatusPreconditionFailed:
		return fault.Conflict, said
	case status >= 300 && status < 400:
		return fault.Invalid, said + ": the bucket lies in another region or at another endpoint"
	case status >= 400:
		return fault.Invalid, said
	}
	return fault.Malformed, said
}
