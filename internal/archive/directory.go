package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"os"
	"path"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

const keepOp = "archive.Keep"

// directory is an archive in a directory, which may be shared by many machines.
type directory struct {
	path     string
	http     *http.Client
	examine  Probe
	log      *slog.Logger
	maxBytes int64
	stall    time.Duration
}

func openDirectory(dir string, o Options) (*directory, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, diskFault("archive.Open", dir, err)
	}
	t, err := openTree(dir, "archive.Open")
	if err != nil {
		return nil, err
	}
	defer t.close()
	if err := t.mkdirFor(path.Join(partsDir, "any")); err != nil {
		return nil, t.fault(err)
	}
	return &directory{path: dir, http: o.HTTP, examine: o.Probe, log: o.Log, maxBytes: o.MaxBytes, stall: o.Stall}, nil
}

// Put implements Archive.
func (d *directory) Put(ctx context.Context, name string, r io.Reader) error {
	const op = "archive.Put"
	if err := checkName(name); err != nil {
		return failed(fault.Invalid, op, err)
	}
	t, err := openTree(d.path, op)
	if err != nil {
		return err
	}
	defer t.close()
	if err := t.write(name, whileAlive{ctx, r}); err != nil {
		if ctx.Err() != nil {
			return failed(fault.CodeOf(ctx.Err()), op, ctx.Err())
		}
		return t.fault(err)
	}
	return nil
}

// whileAlive stops a copy between two reads when its context ends.
type whileAlive struct {
	ctx  context.Context
	from io.Reader
}

func (w whileAlive) Read(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.from.Read(b)
}

// Keep implements Archive.
func (d *directory) Keep(ctx context.Context, w Want) (*Kept, error) {
	target, err := check(w)
	if err != nil {
		return nil, failed(fault.Invalid, keepOp, err)
	}
	t, err := openTree(d.path, keepOp)
	if err != nil {
		return nil, err
	}
	defer t.close()
	kept, err := d.present(ctx, t, w)
	if kept == nil && err == nil {
		kept, err = d.fetch(ctx, t, target, w)
	}
	if err != nil {
		return nil, err
	}
	if err := t.clean(w.Name); err != nil {
		d.log.LogAttrs(ctx, slog.LevelWarn, "a finished download was not tidied away", slog.String("name", w.Name), slog.Any("error", err))
	}
	return kept, nil
}

// check refuses what could never be kept.
func check(w Want) (*url.URL, error) {
	if err := checkName(w.Name); err != nil {
		return nil, err
	}
	if !(w.Duration >= 0) || math.IsInf(w.Duration, 0) {
		return nil, fmt.Errorf("the duration %g is no number of seconds", w.Duration)
	}
	target, err := url.Parse(w.URL)
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
		return nil, errors.New("the result's URL is not an http or https URL")
	}
	return target, nil
}

// fetch downloads, examines and files a track.
func (d *directory) fetch(ctx context.Context, t *tree, target *url.URL, w Want) (kept *Kept, err error) {
	p, err := t.part(w.Name, sourceOf(w, target))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := p.close(); err != nil {
			d.log.LogAttrs(ctx, slog.LevelWarn, "a download was not laid aside", slog.String("name", w.Name), slog.Any("error", err))
		}
	}()
	if err := d.download(ctx, target, p); err != nil {
		return nil, forget(p, err)
	}
	probed, err := d.inspect(ctx, t, p.name)
	if err == nil {
		err = verify(probed, p.size, w.Duration)
	}
	if err != nil {
		return nil, forget(p, err)
	}
	return d.file(ctx, t, w, p, probed)
}

// forget drops a part whose bytes can only lead to the same error again, or
// take the space that others need to become whole.
func forget(p *part, err error) error {
	code := fault.CodeOf(err)
	if code != fault.Malformed && code != fault.NotFound && !isFull(err) {
		return err
	}
	if reset := p.reset(); reset != nil {
		return errors.Join(err, reset)
	}
	return err
}

// inspect examines a file of the tree. What is not audio is malformed: the
// server promised a track.
func (d *directory) inspect(ctx context.Context, t *tree, name string) (Probed, error) {
	probed, err := d.examine(ctx, t.full(name))
	if fault.CodeOf(err) == fault.Invalid {
		return Probed{}, failed(fault.Malformed, keepOp, fmt.Errorf("what came is not a track: %s", fault.Reason(err)))
	}
	if err != nil {
		return Probed{}, failed(fault.CodeOf(err), keepOp, err)
	}
	return probed, nil
}

// verify compares what was downloaded with what was promised.
func verify(probed Probed, size int64, declared float64) error {
	var reason error
	measured := probed.Duration.Seconds()
	switch {
	case probed.Problem != "":
		reason = fmt.Errorf("the audio is not whole: %s", probed.Problem)
	case probed.Size != size:
		reason = fmt.Errorf("%d bytes were downloaded and %d are there", size, probed.Size)
	case !format.MatchString(probed.Format) || len(probed.SHA256) != 2*sha256.Size:
		reason = fmt.Errorf("the audio was examined incompletely (format %q)", probed.Format)
	case declared > 0 && math.Abs(measured-declared) > tolerance(declared):
		reason = fmt.Errorf("the audio is %.1f s long, and %.1f s were declared", measured, declared)
	default:
		return nil
	}
	return failed(fault.Malformed, keepOp, reason)
}

// tolerance is how far a duration may be from the declared one: 5 %, at least 2 s.
func tolerance(declared float64) float64 { return max(2, declared*0.05) }
