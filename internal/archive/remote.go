package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/segue-audio/segue/internal/bucket"
	"github.com/segue-audio/segue/internal/fault"
)

// remote is an archive in a bucket. Tracks come to a spool on this machine first,
// where downloads are resumed and audio is examined as in a directory; what is in
// the bucket under a track's name is therefore whole. It is put there on the
// condition that nothing is, with a digest that the store checks.
type remote struct {
	intake
	bucket *bucket.Bucket
	prefix string // of all names: empty, or ends with a slash
	spool  string
}

func openRemote(where string, o Options) (*remote, error) {
	const op = "archive.Open"
	address, err := bucket.Parse(where)
	if err != nil {
		return nil, failed(fault.Invalid, op, errors.New(fault.Reason(err)))
	}
	prefix := strings.Trim(address.Key, "/")
	if prefix != "" {
		if err := checkName(prefix); err != nil {
			return nil, failed(fault.Invalid, op, fmt.Errorf("the archive's prefix: %w", err))
		}
		prefix += "/"
	}
	if o.Spool == "" {
		return nil, failed(fault.Invalid, op, errors.New("an archive in a bucket needs a directory for what is on its way"))
	}
	opened, err := bucket.Open(address.Bucket, o.S3)
	if err != nil {
		return nil, failed(fault.Invalid, op, errors.New(fault.Reason(err)))
	}
	// Two archives may have tracks of one name. What is on its way to either is the
	// provider's, so where the store is does not matter.
	spool, err := filepath.Abs(filepath.Join(o.Spool, address.Bucket+"-"+digest(where)[:12]))
	if err != nil {
		return nil, failed(fault.Invalid, op, err)
	}
	if err := makeTree(spool); err != nil {
		return nil, err
	}
	r := &remote{intake: newIntake(o), bucket: opened, prefix: prefix, spool: spool}
	r.far = true
	r.sweep()
	return r, nil
}

func (r *remote) key(name string) string { return r.prefix + name }

// fault words what the bucket refused. All of it is unavailable, never final: a
// person mends keys or permissions, and a result that was paid for is then stored.
func (r *remote) fault(op string, err error) *fault.Error {
	switch code := fault.CodeOf(err); code {
	case fault.Canceled, fault.Timeout:
		return failed(code, op, err)
	default:
		return failed(fault.Unavailable, op, errors.New(fault.Reason(err)))
	}
}

// Put implements Archive.
func (r *remote) Put(ctx context.Context, name string, from io.Reader) error {
	const op = "archive.Put"
	if err := checkName(name); err != nil {
		return failed(fault.Invalid, op, err)
	}
	_, err := r.bucket.Put(ctx, r.key(name), whileAlive{ctx, from}, -1, bucket.PutOptions{ContentType: contentType(name)})
	if err != nil {
		return r.fault(op, err)
	}
	return nil
}

// Keep implements Archive.
func (r *remote) Keep(ctx context.Context, w Want) (*Kept, error) {
	target, err := check(w)
	if err != nil {
		return nil, failed(fault.Invalid, keepOp, err)
	}
	kept, err := r.present(ctx, w)
	if err != nil {
		return nil, err
	}
	t, err := openTree(r.spool, keepOp)
	if err != nil {
		return nil, err
	}
	defer t.close()
	if kept == nil {
		kept, err = r.fetch(ctx, t, target, w, func(track ready) (*Kept, error) { return r.file(ctx, t, w, track) })
	}
	if err != nil {
		return nil, err
	}
	r.tidy(ctx, t, w.Name)
	return kept, nil
}

// maxRecord bounds what is read as a record.
const maxRecord = 64 << 10

// present finds the wanted track when it is there, bytes and all. It returns
// neither a track nor an error when it is to be downloaded.
func (r *remote) present(ctx context.Context, w Want) (*Kept, error) {
	body, _, err := r.bucket.Get(ctx, r.key(recordName(w.Name)), bucket.Part{})
	switch fault.CodeOf(err) {
	case "":
	case fault.NotFound:
		return nil, nil
	default:
		return nil, r.fault(keepOp, err)
	}
	content, err := io.ReadAll(io.LimitReader(body, maxRecord))
	if err := errors.Join(err, body.Close()); err != nil {
		return nil, r.fault(keepOp, err)
	}
	var found record
	if !found.parse(content) || !found.names(w) {
		return nil, nil
	}
	err = r.compare(ctx, keepOp, exact{found.File, found.Size, found.SHA256})
	if errors.Is(err, errOther) || errors.Is(err, errAbsent) {
		r.log.LogAttrs(ctx, slog.LevelWarn, "an archived track is gone or changed; it is downloaded again",
			slog.String("file", r.bucket.Address(r.key(found.File))))
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return r.keptAt(&found), nil
}

// compare reads an object and returns errOther when it does not hold exactly
// these bytes. A store's own tag would say less: some keep it beside the object,
// where it stays when somebody changes the bytes.
func (r *remote) compare(ctx context.Context, op string, want exact) error {
	body, object, err := r.bucket.Get(ctx, r.key(want.file), bucket.Part{})
	if fault.CodeOf(err) == fault.NotFound {
		return errAbsent
	}
	if err != nil {
		return r.fault(op, err)
	}
	defer func() { _ = body.Close() }() // all that matters of it was read
	if object.Size != want.size {
		return errOther
	}
	sum, err := sumOf(whileAlive{ctx, body})
	if err != nil {
		return r.fault(op, err)
	}
	if sum != want.sha256 {
		return errOther
	}
	return nil
}

// file gives a verified track its name in the bucket, by the rules of a directory:
// what is there already stays. The record is written before the track appears.
func (r *remote) file(ctx context.Context, t *tree, w Want, track ready) (*Kept, error) {
	for number := 1; number <= maxCopies; number++ {
		made := recordOf(w, copyName(w.Name, number)+"."+track.probed.Format, track.probed)
		content, err := json.Marshal(made)
		if err != nil {
			return nil, failed(fault.Internal, keepOp, err)
		}
		_, err = r.bucket.Put(ctx, r.key(recordName(w.Name)), bytes.NewReader(content), int64(len(content)), bucket.PutOptions{ContentType: contentType(".json")})
		if err != nil {
			return nil, r.fault(keepOp, err)
		}
		err = r.add(ctx, keepOp, exact{made.File, made.Size, made.SHA256}, func() (io.ReadCloser, error) { return t.root.Open(track.name) })
		if errors.Is(err, errOther) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return r.keptAt(&made), nil
	}
	return nil, failed(fault.Conflict, keepOp, fmt.Errorf("there are %d other files of this name", maxCopies))
}

// add puts an object where there is none. When there is one, it is of these bytes,
// which is as good, or the error is errOther.
func (r *remote) add(ctx context.Context, op string, want exact, open func() (io.ReadCloser, error)) error {
	// A store may answer that another is just storing the object, who may fail.
	for range slots {
		// It is asked first for the sake of stores that ignore the condition.
		if err := r.compare(ctx, op, want); !errors.Is(err, errAbsent) {
			return err
		}
		err := r.send(ctx, op, want, open)
		if fault.CodeOf(err) != fault.Conflict {
			return err
		}
	}
	busy := failed(fault.Conflict, op, errors.New("others are storing this very file"))
	busy.RetryAfter = busyWait
	return busy
}

// send is a conflict when there is an object of the name.
func (r *remote) send(ctx context.Context, op string, want exact, open func() (io.ReadCloser, error)) error {
	from, err := open()
	if known, ok := errors.AsType[*fault.Error](err); ok {
		return known
	}
	if err != nil {
		return failed(fault.Unavailable, op, err)
	}
	defer func() { _ = from.Close() }() // it was only read
	o := bucket.PutOptions{ContentType: contentType(want.file), SHA256: want.sha256, IfAbsent: true}
	if _, err = r.bucket.Put(ctx, r.key(want.file), from, want.size, o); err == nil || fault.CodeOf(err) == fault.Conflict {
		return err
	}
	return r.fault(op, err)
}

func (r *remote) keptAt(made *record) *Kept {
	return &Kept{
		File: r.bucket.Address(r.key(made.File)), Size: made.Size, SHA256: made.SHA256, Format: made.Format, Duration: made.Duration,
	}
}

// check implements checker: the bucket is there, can be written, and keeps the
// condition that nothing is overwritten. It leaves one byte behind, since whoever
// may write need not be allowed to remove.
func (r *remote) check(ctx context.Context) error {
	err := r.bucket.Check(ctx)
	for n := 0; n < 2 && err == nil; n++ {
		_, err = r.bucket.Put(ctx, r.key(ownDir+"check"), strings.NewReader("x"), 1, bucket.PutOptions{IfAbsent: true})
	}
	switch code := fault.CodeOf(err); code {
	case fault.Conflict:
		return nil
	case "":
		return failed(fault.Invalid, checkOp, fmt.Errorf(
			"%s: the store ignores the condition If-None-Match, so that two workers could overwrite each other's files", r.bucket.Address("")))
	default:
		return failed(code, checkOp, errors.New(fault.Reason(err)))
	}
}
