package source

import (
	"context"
	"errors"
	"iter"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/segue-audio/segue/internal/fault"
)

// Object is one object of a bucket.
type Object struct {
	// Name is its whole key.
	Name string
	// Size is in bytes.
	Size int64
	// ETag changes when the object does.
	ETag string
	// ModTime is when it was written.
	ModTime time.Time
}

// Bucket is what expansion asks of an object store.
type Bucket interface {
	// List gives the objects whose names begin with prefix in the order of their
	// bytes, page by page. After an error it ends.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]
	// Stat says what an object is; its error is a fault, of code not_found when
	// there is none of that name.
	Stat(ctx context.Context, name string) (Object, error)
}

// errNoStore says what is missing for s3:// sources.
var errNoStore = errors.New("s3:// sources need an object store in the configuration (s3)")

// bucketForm is what S3 allows as a bucket's name.
var bucketForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// ParseObject takes s3://bucket/name apart. The name is taken as it stands: it is
// not percent-encoded, and may be empty. ok is false when the URL is none, or has
// what may be a password in it.
func ParseObject(address string) (bucket, name string, ok bool) {
	scheme, rest, found := strings.Cut(address, "://")
	if !found || !strings.EqualFold(scheme, "s3") {
		return "", "", false
	}
	bucket, name, _ = strings.Cut(rest, "/")
	return bucket, name, bucketForm.MatchString(bucket)
}

// object takes what an s3:// address names: an object, all audio below a prefix, or
// what a pattern matches.
func (e *expansion) object(r row) {
	bucket, name, ok := ParseObject(r.source)
	if question := strings.LastIndexByte(name, '?'); !ok || question >= 0 && strings.Contains(name[question:], "=") {
		shown := withoutQuery(r.source)
		origin := r.origin
		if origin == r.source {
			origin = shown
		}
		e.fail(origin, shown, "this is not s3://bucket/prefix; keys and endpoint belong to the configuration (s3)")
		return
	}
	r.shown = r.source
	store, err := e.bucket(bucket)
	if err != nil {
		e.cannot(r, r.shown, err)
		return
	}
	o := objects{expansion: e, row: r, store: store, bucket: bucket}
	pattern := strings.ContainsAny(name, `*?[{`)
	switch {
	case name == "" || strings.HasSuffix(name, "/"):
		o.below(name)
	case !pattern && isAudio(name):
		// Whether it is there, probing finds out: asking twice for each of a
		// manifest's rows would double the requests.
		o.take(Object{Name: name})
	default:
		o.find(name, pattern)
	}
}

// bucket opens a bucket once.
func (e *expansion) bucket(name string) (Bucket, error) {
	if known, ok := e.buckets[name]; ok {
		return known, nil
	}
	if e.options.Bucket == nil {
		return nil, fault.Uncharged(fault.Invalid, "source.All", errNoStore)
	}
	opened, err := e.options.Bucket(name)
	if err == nil {
		e.buckets[name] = opened
	}
	return opened, err
}

// cannot is a finding about what an object store did not give.
func (e *expansion) cannot(r row, shown string, err error) {
	if e.ctx.Err() != nil {
		return
	}
	e.find(Finding{Origin: r.origin, Source: shown, Reason: reasonOf(err), Code: fault.CodeOf(err)})
}

// objects goes through one bucket for one row.
type objects struct {
	*expansion
	row    row
	store  Bucket
	bucket string
}

// find takes an object of this very name, or else what is below it, or matches it.
func (o objects) find(name string, pattern bool) {
	exact, err := o.store.Stat(o.ctx, name)
	switch {
	case err == nil:
		o.take(exact)
	case fault.CodeOf(err) != fault.NotFound:
		o.cannot(o.row, o.row.shown, err)
	case pattern:
		o.glob(name)
	default:
		o.below(name + "/")
	}
}

// below takes all audio below a prefix.
func (o objects) below(prefix string) {
	o.each(prefix, func(name string) verdict {
		if isAudio(name) {
			return taken
		}
		return ignored
	})
}

// glob takes the objects that a pattern matches. As with files, a pattern that ends
// in an extension says what it wants; of any other, only audio is taken.
func (o objects) glob(pattern string) {
	if !doublestar.ValidatePattern(pattern) {
		o.fail(o.row.origin, o.row.shown, "the pattern is broken: a [ or { is not closed, or a \\ ends it")
		return
	}
	prefix := pattern[:strings.IndexAny(pattern, `*?[{\`)]
	anything := namesExtension(pattern)
	o.each(prefix, func(name string) verdict {
		switch matched, err := doublestar.Match(pattern, name); {
		case err != nil || !matched:
			return outside
		case !anything && !isAudio(name):
			return ignored
		}
		return taken
	})
}

// verdict is what becomes of an object.
type verdict uint8

const (
	// outside: it was not meant.
	outside verdict = iota
	// ignored: it was meant, and is not audio.
	ignored
	taken
)

// each takes the objects below a prefix that judge wants.
func (o objects) each(prefix string, judge func(name string) verdict) {
	found, other := 0, 0
	for object, err := range o.store.List(o.ctx, prefix) {
		if o.over() {
			return
		}
		if err != nil {
			o.cannot(o.row, o.row.shown, err)
			return
		}
		below := object.Name[min(strings.LastIndexByte(prefix, '/')+1, len(object.Name)):]
		if strings.HasSuffix(object.Name, "/") || slices.ContainsFunc(strings.Split(below, "/"), passedOver) || o.excludes(object.Name) {
			continue
		}
		switch judge(object.Name) {
		case taken:
			found++
			o.take(object)
		case ignored:
			other++
		case outside:
		}
	}
	switch {
	case found > 0 || o.over():
	case other == 1:
		o.fail(o.row.origin, o.row.shown, "no audio here; the one object there is was ignored")
	case other > 1:
		o.fail(o.row.origin, o.row.shown, "no audio here; %d other objects were ignored", other)
	default:
		o.fail(o.row.origin, o.row.shown, "there is nothing of that name in the bucket")
	}
}

// take adds an object.
func (o objects) take(object Object) {
	address := "s3://" + o.bucket + "/" + object.Name
	o.add(address, Input{Source: address, URL: address, ETag: object.ETag, Origin: o.row.origin, Overrides: o.row.overrides})
}

// excludes says that an object lies below what is never entered.
func (o objects) excludes(name string) bool {
	return slices.ContainsFunc(o.options.Exclude, func(excluded string) bool {
		bucket, prefix, ok := ParseObject(excluded)
		prefix = strings.TrimSuffix(prefix, "/")
		return ok && bucket == o.bucket && (prefix == "" || name == prefix || strings.HasPrefix(name, prefix+"/"))
	})
}
