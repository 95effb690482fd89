// Package source turns what a person names on the command line into the list of
// audio files to carry: files, directories, globs, URLs and manifests.
//
// [All] finds the inputs and says everything that is wrong with the arguments;
// [Inspector] then probes every input, several at a time, and says everything that
// is wrong with the files. Both give one after another, so that a manifest of a
// million rows needs no more memory than a short one; [Expand] and
// [Inspector.Inspect] give all at once. The order is always the same for the same
// arguments: arguments as given, rows as they stand, below a directory or glob the
// natural order of names, 2.mp3 before 10.mp3, and below s3:// the order of bytes,
// as the store lists them.
package source

import (
	"context"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"github.com/segue-audio/segue/internal/fault"
)

// Input is one piece of audio to carry. Either Path or URL is set.
type Input struct {
	// Source is the input as people should see it: the path as they would type it,
	// or the URL without its query, which may be a signature.
	Source string
	// Path is the absolute path of a local file.
	Path string
	// URL is the whole address of a remote one; it may be signed, so it must not
	// be logged. It is s3://bucket/name, and no secret, for an object.
	URL string
	// ETag tells one state of an object from another, where it is known.
	ETag string
	// Origin is the argument that named the input, or file:line of a manifest.
	Origin string
	// Overrides are the columns of a manifest's row; empty for anything else.
	Overrides Overrides
}

// IsRow says that a row of a manifest named the input.
func (in *Input) IsRow() bool { return isRow(in.Origin) }

// Finding is something to say about an argument, a row or a file.
type Finding struct {
	// Origin is the argument or file:line concerned.
	Origin string
	// Source is the input concerned; empty when it is the origin itself.
	Source string
	// Reason is a sentence for people. It contains no signed URL.
	Reason string
	// Code is invalid for what must be put right, or says why a probe failed.
	Code fault.Code
	// Note marks what is only worth knowing: nothing needs to be done.
	Note bool
}

// Error is the finding on one line.
func (f Finding) Error() string {
	where := f.Origin
	if f.Source != "" && f.Source != f.Origin {
		where = f.Source
		if isRow(f.Origin) {
			where = f.Origin + ": " + f.Source
		}
	}
	return where + ": " + f.Reason
}

// Row is the same for all findings about one row of a manifest, and another for
// every other argument and input.
func (f Finding) Row() string {
	if isRow(f.Origin) {
		return f.Origin
	}
	return f.Origin + "\x00" + f.Source
}

// isRow says that an origin is file:line rather than an argument.
func isRow(origin string) bool {
	at := strings.LastIndexByte(origin, ':')
	return at > 0 && at < len(origin)-1 && strings.Trim(origin[at+1:], "0123456789") == ""
}

// Blocking says that a finding is not a mere note.
func Blocking(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return !f.Note })
}

// Options is what Expand and All work with.
type Options struct {
	// Dir is what relative paths are relative to; empty is the process's own.
	Dir string
	// Stdin is read for the argument "-"; nil refuses it.
	Stdin io.Reader
	// Exclude lists directories, and s3:// prefixes, that are never entered, such as
	// the one that results go to: they must not become tomorrow's sources.
	Exclude []string
	// Encoding is what manifests are written in that do not say so themselves by a
	// byte order mark: one of Encodings; empty is utf-8. It is not guessed:
	// lyrics that were guessed wrong would be paid for.
	Encoding string
	// Bucket opens a bucket for s3:// sources; nil refuses them.
	Bucket func(name string) (Bucket, error)
}

// All gives the inputs that the arguments name one after another, each once, and
// what there is to say about the arguments as it is found: either the finding is
// nil, or the input is empty. All inputs are there when no finding is blocking and
// ctx is not done.
//
// Memory is some 30 bytes per input, to take each once, whatever a manifest's size;
// a directory's names are held while it is gone through, to be in order.
//
// A directory is taken with everything below it; files that are not audio by
// their extension are passed over there, and so is what is hidden, unfinished
// (.part) or left by macOS (._x). A file named by itself is always taken.
func All(ctx context.Context, args []string, o Options) iter.Seq2[Input, *Finding] {
	return func(yield func(Input, *Finding) bool) {
		e := expansion{ctx: ctx, options: o, yield: yield, buckets: map[string]Bucket{}}
		for _, arg := range args {
			if e.over() {
				return
			}
			e.argument(arg)
		}
	}
}

// Expand is All at once: the inputs, and everything there is to say about the
// arguments, each in the order that it was found in.
func Expand(ctx context.Context, args []string, o Options) ([]Input, []Finding) {
	var inputs []Input
	var findings []Finding
	for in, finding := range All(ctx, args, o) {
		if finding != nil {
			findings = append(findings, *finding)
			continue
		}
		inputs = append(inputs, in)
	}
	return inputs, findings
}

// expansion is the state of one All.
type expansion struct {
	ctx     context.Context //nolint:containedctx // it lives as long as one call
	options Options
	yield   func(Input, *Finding) bool
	// stopped says that the caller wants no more.
	stopped bool
	// seen are the inputs by identity, to take each once.
	seen Seen
	// turn counts the arguments and rows.
	turn uint32
	// stdinRead says that "-" was there already.
	stdinRead bool
	// buckets are those that were opened.
	buckets map[string]Bucket
	// lastDir is the directory of the last file, lastReal the same behind links.
	lastDir, lastReal string
}

// over says that nothing more is to be found.
func (e *expansion) over() bool { return e.stopped || e.ctx.Err() != nil }

func (e *expansion) fail(origin, source, format string, args ...any) {
	e.find(Finding{Origin: origin, Source: source, Reason: fmt.Sprintf(format, args...), Code: fault.Invalid})
}

func (e *expansion) note(origin, source, format string, args ...any) {
	e.find(Finding{Origin: origin, Source: source, Reason: fmt.Sprintf(format, args...), Note: true})
}

func (e *expansion) find(f Finding) {
	if !e.over() {
		e.stopped = !e.yield(Input{}, &f)
	}
}

// argument expands one argument.
func (e *expansion) argument(arg string) {
	switch kind := strings.ToLower(filepath.Ext(arg)); {
	case arg == "":
		e.fail(arg, "", "an empty source; name a file, a directory, a glob or a URL")
	case arg == "-":
		e.stdin()
	case !strings.Contains(arg, "://") && (kind == ".csv" || kind == ".jsonl" || kind == ".ndjson"):
		e.manifest(arg)
	default:
		e.named(e.options.Dir, row{source: arg, shown: arg, origin: arg})
	}
}

// row is one thing to find: an argument, or a row of a manifest.
type row struct {
	source, origin string
	// shown is the source as people would type it from where they are.
	shown     string
	overrides Overrides
}

// named expands a row whose relative paths are relative to dir.
func (e *expansion) named(dir string, r row) {
	e.turn++
	if scheme, _, isURL := strings.Cut(r.source, "://"); isURL {
		e.address(scheme, r)
		return
	}
	abs, err := filepath.Abs(filepath.Join(dir, r.source))
	if filepath.IsAbs(r.source) {
		abs, err = filepath.Clean(r.source), nil
	}
	if err != nil {
		e.fail(r.origin, r.shown, "%s", reason(err))
		return
	}
	e.local(abs, r)
}

// add takes an input, unless the very same one is there already.
func (e *expansion) add(identity string, in Input) {
	if e.over() {
		return
	}
	first, known := e.seen.Add(identity+"\x00"+in.Overrides.identity(), Place{in.Source, in.Origin, e.turn})
	switch {
	case !known:
		e.stopped = !e.yield(in, nil)
	case first.Turn != e.turn: // else a pattern, or a directory with links, reaches one file twice
		e.note(in.Origin, in.Source, "the same as %s, named before; taken once", first)
	}
}
