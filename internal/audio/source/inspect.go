package source

import (
	"context"
	"errors"
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
	// Done, if set, is called for each input as it is finished, one at a time.
	Done func(Inspected)
}

// Inspect probes all inputs. The result has one entry per input, in the same
// order, and so have the findings: what is no audio, what is cut off, what could
// not be read, and as a note what has the same content as an earlier input. When
// ctx ends it returns ctx's error and what it has.
func (i Inspector) Inspect(ctx context.Context, inputs []Input) ([]Inspected, []Finding, error) {
	inspected, errs := make([]Inspected, len(inputs)), make([]error, len(inputs))
	next := make(chan int)
	var group sync.WaitGroup
	var done sync.Mutex
	for range min(max(i.Workers, 1), len(inputs)) {
		group.Go(func() {
			for n := range next {
				inspected[n], errs[n] = i.one(ctx, inputs[n])
				i.finished(&done, inspected[n])
			}
		})
	}
	feed(ctx, next, len(inputs))
	group.Wait()
	if err := ctx.Err(); err != nil {
		return inspected, nil, fault.Uncharged(fault.CodeOf(err), "source.Inspect", err)
	}
	return inspected, report(inspected, errs), nil
}

// feed hands out the work until it is done or ctx ends.
func feed(ctx context.Context, next chan<- int, count int) {
	defer close(next)
	for n := range count {
		select {
		case next <- n:
		case <-ctx.Done():
			return
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
	probe, where := i.File, in.Path
	if in.URL != "" {
		probe, where = i.URL, in.URL
	}
	if probe == nil {
		if in.URL == "" {
			return Inspected{Input: in}, errors.New("it cannot be probed")
		}
		return Inspected{Input: in, Probed: Probed{Size: -1}, Valid: true}, nil
	}
	probed, err := probe(ctx, where)
	return Inspected{Input: in, Probed: probed, Valid: err == nil && probed.Problem == ""}, err
}

// report says what was found, in the order of the inputs.
func report(inspected []Inspected, errs []error) []Finding {
	findings := make([]Finding, 0, 8)
	first := map[string]string{}
	for n, in := range inspected {
		finding := Finding{Origin: in.Origin, Source: in.Source, Code: fault.Invalid}
		earlier, twice := first[in.Probed.SHA256]
		switch {
		case errs[n] != nil:
			finding.Reason, finding.Code = reasonOf(errs[n]), fault.CodeOf(errs[n])
		case in.Probed.Problem != "":
			finding.Reason = in.Probed.Problem
		case twice && in.Probed.SHA256 != "" && earlier != in.Source:
			finding.Reason, finding.Code, finding.Note = "has the same content as "+earlier+"; both are taken", "", true
		default:
			first[in.Probed.SHA256] = in.Source
			continue
		}
		findings = append(findings, finding)
	}
	return findings
}

// reasonOf is what a person should read of a probe's error.
func reasonOf(err error) string {
	if classified, ok := errors.AsType[*fault.Error](err); ok && classified.Err != nil {
		return reason(classified.Err)
	}
	return reason(err)
}
