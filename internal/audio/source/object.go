package source

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/segue-audio/segue/internal/bucket"
	"github.com/segue-audio/segue/internal/fault"
)

// Bucket is what expansion asks of an object store; *bucket.Bucket is one.
type Bucket interface {
	// List gives the objects whose names begin with prefix in the order of their
	// bytes, page by page. An error is the last thing it gives.
	List(ctx context.Context, prefix string) iter.Seq2[bucket.Object, error]
	// Stat says what an object is; its error is a fault, of code not_found when
	// there is none of that name.
	Stat(ctx context.Context, name string) (bucket.Object, error)
}

var (
	errNoStore = errors.New("s3:// sources need an object store in the configuration (s3)")
	errQuery   = errors.New("an s3:// source has no query; endpoint and keys are settings (s3)")
)

// object takes what an s3:// address names: an object, all audio below a prefix, or
// what a pattern matches.
func (e *expansion) object(r row) {
	_, rest, _ := strings.Cut(r.source, "://")
	address, err := bucket.Parse("s3://" + rest)
	name := address.Key
	question := strings.LastIndexByte(name, '?')
	if question >= 0 && strings.Contains(name[question:], "=") {
		err = errQuery // which other programs read, and it may hold keys
	}
	if err != nil {
		shown := withoutQuery(r.source)
		if r.origin == r.source {
			r.origin = shown
		}
		e.fail(r.origin, shown, "%s", reasonOf(err))
		return
	}
	r.shown = r.source
	store, err := e.opened(address.Bucket)
	if err != nil {
		e.cannot(r, err)
		return
	}
	o := objects{expansion: e, row: r, store: store, bucket: address.Bucket}
	pattern := strings.ContainsAny(name, `*?[{`)
	switch {
	case name == "" || strings.HasSuffix(name, "/"):
		o.below(name)
	case !pattern && isAudio(name):
		// Whether it is there, probing finds out: asking twice for each of a
		// manifest's rows would double the requests.
		o.take(bucket.Object{Name: name})
	default:
		o.find(name, pattern)
	}
}

// opened opens a bucket once.
func (e *expansion) opened(name string) (Bucket, error) {
	if known, ok := e.buckets[name]; ok {
		return known, nil
	}
	if e.options.Bucket == nil {
		return nil, fault.Uncharged(fault.Invalid, "source.All", errNoStore)
	}
	store, err := e.options.Bucket(name)
	if err == nil {
		e.buckets[name] = store
	}
	return store, err
}

// cannot is a finding about what an object store did not give.
func (e *expansion) cannot(r row, err error) {
	if e.ctx.Err() != nil {
		return
	}
	e.find(Finding{Origin: r.origin, Source: r.shown, Reason: about(r.shown, err), Code: fault.CodeOf(err)})
}

// about is reasonOf without the source itself, which a finding says already.
func about(source string, err error) string {
	return strings.TrimPrefix(reasonOf(err), source+": ")
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
		o.cannot(o.row, err)
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
			o.cannot(o.row, err)
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
func (o objects) take(object bucket.Object) {
	address := bucket.Address{Bucket: o.bucket, Key: object.Name}.String()
	o.add(address, Input{Source: address, URL: address, ETag: object.ETag, Origin: o.row.origin, Overrides: o.row.overrides})
}

// excludes says that an object lies below what is never entered.
func (o objects) excludes(name string) bool {
	return slices.ContainsFunc(o.options.Exclude, func(excluded string) bool {
		address, err := bucket.Parse(excluded)
		prefix := strings.TrimSuffix(address.Key, "/")
		return err == nil && address.Bucket == o.bucket && (prefix == "" || name == prefix || strings.HasPrefix(name, prefix+"/"))
	})
}
