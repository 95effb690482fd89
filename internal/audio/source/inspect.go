package source

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// Probed is what probing learned about one input.
type Probed struct {
	// Format is the container, as package audio names it.
	Format   string
	Duration time.Duration
	// Size is in bytes; -1 when it is not known.
	Size int64
	// ModTime is zero for a URL.
	ModTime time.Time
	// ETag tells the state of an object that was probed; empty for anything else.
	ETag string
	// SHA256 is the hex digest; empty when only parts were read.
	SHA256 string
	// Problem is a sentence about audio that can be read but should not be sent,
	// such as a file that ends before its header says; empty when there is none.
	Problem string
}

// Inspected is an input with what probing learned.
type Inspected struct {
	Input
	Probed Probed
	// Valid says that probing found audio and no problem with it.
	Valid bool
	// Skimmed says that whoever asked does not want it read to its end to know its
	// digest; an Inspector does not set it.
	Skimmed bool
}

// Inspector probes inputs.
type Inspector struct {
	// Workers is how many inputs are probed at once; less than 1 is 1.
	Workers int
	// File probes a local file. An error of code invalid says in its reason what is
	// wrong with the file.
	File func(ctx context.Context, path string) (Probed, error)
	// URL probes a remote file, by ranges; nil takes URLs unseen. Its errors must
	// not contain the URL.
	URL func(ctx context.Context, url string) (Probed, error)
	// Object probes an object, s3://bucket/name, by ranges; an ETag that is not
	// empty is the state that it must be in. Nil takes objects unseen.
	Object func(ctx context.Context, url, etag string) (Probed, error)
	// Done, if set, is called for each input as it is finished, one at a time.
	Done func(Inspected)
}

// All probes inputs as they come, and gives each in the order it came in with what
// there is to say about it: nil, or that it is no audio, is cut off, or could not be
// read. A finding of what finds the inputs is passed on in its place, with an empty
// input. That two inputs have the same content is for a plan to say.
//
// It holds as many inputs as are being probed, and a few more. It ends early when
// ctx does, or the caller wants no more; nothing is being probed any more by then.
func (i Inspector) All(ctx context.Context, inputs iter.Seq2[Input, *Finding]) iter.Seq2[Inspected, *Finding] {
	return func(yield func(Inspected, *Finding) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var group sync.WaitGroup
		defer group.Wait()
		defer cancel()
		workers := max(i.Workers, 1)
		work, order := make(chan *probe), make(chan *probe, 2*workers)
		group.Go(func() { deal(ctx, inputs, work, order) })
		var one sync.Mutex
		for range workers {
			group.Go(func() {
				for p := range work {
					p.inspected, p.err = i.one(ctx, p.inspected.Input)
					i.finished(&one, p.inspected)
					close(p.done)
				}
			})
		}
		for p := range order {
			<-p.done
			if ctx.Err() != nil || !yield(p.inspected, p.report()) {
				return
			}
		}
	}
}

// probe is one input on its way through an Inspector.
type probe struct {
	inspected Inspected
	err       error
	// passed is a finding that is only passed on.
	passed *Finding
	// done is closed when the rest may be read.
	done chan struct{}
}

// deal hands the inputs to the workers, and to whoever keeps their order.
func deal(ctx context.Context, inputs iter.Seq2[Input, *Finding], work, order chan<- *probe) {
	defer close(order)
	defer close(work)
	for in, finding := range inputs {
		p := &probe{inspected: Inspected{Input: in}, passed: finding, done: make(chan struct{})}
		if finding != nil {
			close(p.done)
		} else {
			select {
			case work <- p:
			case <-ctx.Done():
				return
			}
		}
		select {
		case order <- p:
		case <-ctx.Done():
			return
		}
	}
}

// Inspect probes all inputs. The result has one entry per input, in the same
// order, and so have the findings: those of All, and as a note what has the same
// content as an earlier input. When ctx ends it returns ctx's error and what it has.
func (i Inspector) Inspect(ctx context.Context, inputs []Input) ([]Inspected, []Finding, error) {
	inspected := make([]Inspected, 0, len(inputs))
	findings := make([]Finding, 0, 8)
	i.Workers = min(max(i.Workers, 1), max(len(inputs), 1))
	var first Seen
	for in, finding := range i.All(ctx, each(inputs)) {
		inspected = append(inspected, in)
		if finding == nil {
			finding = in.sameAs(&first)
		}
		if finding != nil {
			findings = append(findings, *finding)
		}
	}
	if err := ctx.Err(); err != nil {
		return inspected, nil, fault.Uncharged(fault.CodeOf(err), "source.Inspect", err)
	}
	return inspected, findings, nil
}

// each gives a list as All does.
func each(inputs []Input) iter.Seq2[Input, *Finding] {
	return func(yield func(Input, *Finding) bool) {
		for _, in := range inputs {
			if !yield(in, nil) {
				return
			}
		}
	}
}

func (i Inspector) finished(one *sync.Mutex, in Inspected) {
	if i.Done == nil {
		return
	}
	one.Lock()
	defer one.Unlock()
	i.Done(in)
}

// one probes one input.
func (i Inspector) one(ctx context.Context, in Input) (Inspected, error) {
	var look func() (Probed, error)
	switch {
	case in.URL == "" && i.File == nil:
		return Inspected{Input: in}, errors.New("it cannot be probed")
	case in.URL == "":
		look = func() (Probed, error) { return i.File(ctx, in.Path) }
	case strings.HasPrefix(in.URL, "s3://"):
		if i.Object != nil {
			look = func() (Probed, error) { return i.Object(ctx, in.URL, in.ETag) }
		}
	case i.URL != nil:
		look = func() (Probed, error) { return i.URL(ctx, in.URL) }
	}
	if look == nil {
		return Inspected{Input: in, Probed: Probed{Size: -1}, Valid: true}, nil
	}
	probed, err := look()
	return Inspected{Input: in, Probed: probed, Valid: err == nil && probed.Problem == ""}, err
}

// report says what was found.
func (p *probe) report() *Finding {
	in := &p.inspected
	finding := Finding{Origin: in.Origin, Source: in.Source, Code: fault.Invalid}
	switch {
	case p.passed != nil:
		return p.passed
	case p.err != nil:
		finding.Reason, finding.Code = about(in.Source, p.err), fault.CodeOf(p.err)
	case in.Probed.Problem != "":
		finding.Reason = in.Probed.Problem
	default:
		return nil
	}
	return &finding
}

// sameAs notes an input whose content another one had first.
func (in *Inspected) sameAs(first *Seen) *Finding {
	if in.Probed.SHA256 == "" {
		return nil
	}
	earlier, twice := first.Add(in.Probed.SHA256, Place{Source: in.Source, Origin: in.Origin})
	if !twice || earlier.Source == in.Source {
		return nil
	}
	if earlier.Source != "" {
		earlier.Origin = "" // the file itself is named
	}
	return &Finding{Origin: in.Origin, Source: in.Source, Reason: "has the same content as " + earlier.String() + "; both are taken", Note: true}
}

// reasonOf is what a person should read of a probe's error.
func reasonOf(err error) string {
	if classified, ok := errors.AsType[*fault.Error](err); ok && classified.Err != nil {
		return reason(classified.Err)
	}
	return reason(err)
}
