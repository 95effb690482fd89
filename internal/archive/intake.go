package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

const keepOp = "archive.Keep"

// intake brings tracks to a directory of this machine and examines them. What
// becomes of them then is the archive's own.
type intake struct {
	http     *http.Client
	examine  Probe
	log      *slog.Logger
	maxBytes int64
	stall    time.Duration
	// far says that filing takes long, so that what was downloaded must be sure to
	// survive it.
	far bool
}

func newIntake(o Options) intake {
	return intake{http: o.HTTP, examine: o.Probe, log: o.Log, maxBytes: o.MaxBytes, stall: o.Stall}
}

// ready is a track that is to be filed: a file of the tree, whole and examined.
type ready struct {
	name   string
	probed Probed
}

// filer gives a track its place in the archive, and leaves the file that it came
// in alone.
type filer func(ready) (*Kept, error)

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

// fetch downloads, examines and files a track. Its bytes stay in the tree until
// they are filed.
func (in *intake) fetch(ctx context.Context, t *tree, target *url.URL, w Want, file filer) (*Kept, error) {
	p, err := t.part(w.Name, sourceOf(w, target))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := p.close(); err != nil {
			in.log.LogAttrs(ctx, slog.LevelWarn, "a download was not laid aside", slog.String("name", w.Name), slog.Any("error", err))
		}
	}()
	if err := in.download(ctx, target, p); err != nil {
		return nil, forget(p, err)
	}
	probed, err := in.inspect(ctx, t, p.name)
	if err == nil {
		err = verify(probed, p.size, w.Duration)
	}
	if err != nil {
		return nil, forget(p, err)
	}
	if in.far {
		if err := p.save(); err != nil {
			return nil, t.fault(err)
		}
	}
	track, err := in.tagged(ctx, p, w, ready{name: p.name, probed: probed})
	if err != nil {
		return nil, err
	}
	kept, err := file(track)
	if err != nil {
		return nil, err
	}
	p.filed = true
	return kept, nil
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
func (in *intake) inspect(ctx context.Context, t *tree, name string) (Probed, error) {
	probed, err := in.examine(ctx, t.full(name))
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
