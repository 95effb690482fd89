// Package bucket speaks to S3 and to what speaks like it: the few things that
// sources and archives need, with promises of our own and without a type of the
// library below in any signature.
//
// Memory is flat whatever an object's size, every byte that is sent is vouched
// for by a digest that the server must check, and an object appears whole or not
// at all. Failures are *fault.Error of no charge; their text names the bucket and
// the object, and never a key, a signature, or what a server wrote.
package bucket

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/segue-audio/segue/internal/fault"
)

// attempts is how often one request is sent at most, over less than two seconds.
// S3 asks its clients to repeat what it answers with 503 SlowDown, and a listing
// of a thousand pages or an upload of a thousand parts would seldom end without.
// What is down for longer is the queue's business.
const attempts = 3

// Options is where a bucket lies and who asks.
type Options struct {
	// Endpoint is the server's address: "https://minio.example:9000". Without a
	// scheme it is https. Empty means Amazon's.
	Endpoint string
	// Region is what requests are signed for. Empty means that the server is
	// asked once, which some do not allow: then it is us-east-1.
	Region string
	// PathStyle puts the bucket into the path ("https://host/bucket/name") at
	// Amazon and Google too. Everywhere else it is there in any case.
	PathStyle bool
	// AccessKey and SecretKey sign requests. Both empty means that nothing is
	// signed, which public buckets allow.
	AccessKey, SecretKey string
	// SessionToken goes with temporary keys; mostly empty.
	SessionToken string
	// HTTP carries requests; nil means a transport of the bucket's own, without a
	// proxy. Its wait for an answer's head must be minutes: a server may put a
	// large object together before it answers.
	HTTP http.RoundTripper
}

// Bucket is one bucket. All methods are safe for concurrent use. Names are whole
// keys, as S3 has them: no name is cleaned, joined or escaped.
type Bucket struct {
	name string
	host string // of the endpoint, for errors
	core minio.Core
	// signs says that there are keys.
	signs bool
}

// Object says what is known of an object.
type Object struct {
	// Name is its key.
	Name string
	// Size is the whole object's length in bytes, also when a part was asked for.
	Size int64
	// ETag identifies the bytes, without quotes. Another one means other bytes;
	// it is the digest of nothing in particular.
	ETag string
	// Modified is when it was stored.
	Modified time.Time
	// ContentType is what it was stored with. Lists do not tell it.
	ContentType string
	// SHA256 is the hex digest that Put was given, empty when it was given none
	// or another program stored the object. Lists do not tell it.
	SHA256 string
}

// Open readies a bucket. It sends nothing: Check does. What is wrong with the
// options is invalid, all of it at once.
func Open(name string, o Options) (*Bucket, error) {
	const op = "bucket.Open"
	endpoint, secure, err := parseEndpoint(o.Endpoint)
	err = errors.Join(err, checkBucket(name), o.checkKeys())
	if err != nil {
		return nil, failed(fault.Invalid, op, err)
	}
	if o.HTTP == nil {
		o.HTTP = transport()
	}
	lookup := minio.BucketLookupAuto
	if o.PathStyle {
		lookup = minio.BucketLookupPath
	}
	core, err := minio.NewCore(endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(o.AccessKey, o.SecretKey, o.SessionToken), Secure: secure, Region: o.Region,
		Transport: listening{o.HTTP}, BucketLookup: lookup, MaxRetries: attempts,
	})
	if err != nil {
		return nil, failed(fault.Invalid, op, fmt.Errorf("the S3 endpoint %q cannot be used", endpoint))
	}
	return &Bucket{name: name, host: endpoint, core: *core, signs: o.AccessKey != ""}, nil
}

// Name is the bucket's.
func (b *Bucket) Name() string { return b.name }

func (o *Options) checkKeys() error {
	switch {
	case o.AccessKey == "" && o.SecretKey != "":
		return errors.New("there is an S3 secret key without an access key")
	case o.AccessKey != "" && o.SecretKey == "":
		return errors.New("there is an S3 access key without a secret key")
	case o.SessionToken != "" && o.AccessKey == "":
		return errors.New("there is an S3 session token without keys")
	}
	return nil
}

// parseEndpoint gives the host and port of an endpoint. It does not quote what it
// refuses: people write keys into URLs.
func parseEndpoint(text string) (host string, secure bool, err error) {
	if text == "" {
		return "s3.amazonaws.com", true, nil
	}
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	parsed, err := url.Parse(text)
	switch {
	case err != nil, parsed.Hostname() == "", parsed.Scheme != "http" && parsed.Scheme != "https":
		return "", false, errors.New("the S3 endpoint is not a URL; write https://host or https://host:port")
	case parsed.User != nil:
		return "", false, errors.New("the S3 endpoint contains a user name; keys are settings of their own")
	case parsed.Path != "" && parsed.Path != "/", parsed.RawQuery != "", parsed.Fragment != "":
		return "", false, fmt.Errorf("the S3 endpoint at %s has a path; write https://host or https://host:port", parsed.Host)
	}
	return parsed.Host, parsed.Scheme == "https", nil
}

// transport waits long for an answer's head, and bounds everything else.
func transport() http.RoundTripper {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 5 * time.Minute,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       30 * time.Second,
		MaxIdleConns:          64,
		MaxIdleConnsPerHost:   32,
	}
}

// listening refuses a list that is not XML. The library takes a page, such as a
// hotel's network gives to all who ask, for a list of nothing.
type listening struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (l listening) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.RoundTripper.RoundTrip(r)
	if err != nil || response.StatusCode != http.StatusOK || !r.URL.Query().Has("list-type") {
		return response, err
	}
	if !strings.Contains(response.Header.Get("Content-Type"), "xml") {
		return nil, errors.Join(errNotS3, response.Body.Close())
	}
	return response, nil
}
