// Package source turns what a person names on the command line into the list of
// audio files to carry: files, directories, globs, URLs and manifests.
//
// [Expand] finds the inputs and says everything that is wrong with the
// arguments at once; [Inspector] then probes every input, several at a time, and
// says everything that is wrong with the files. The order is always the same for
// the same arguments: arguments as given, and below a directory or glob the
// natural order of names, 2.mp3 before 10.mp3.
package source

import (
	"context"
	"fmt"
	"io"
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
	// be logged.
	URL string
	// Origin is the argument that named the input, or file:line of a manifest.
	Origin string
	// Overrides are the columns of a manifest's row; empty for anything else.
	Overrides Overrides
}

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

// isRow says that an origin is file:line rather than an argument.
func isRow(origin string) bool {
	at := strings.LastIndexByte(origin, ':')
	return at > 0 && at < len(origin)-1 && strings.Trim(origin[at+1:], "0123456789") == ""
}

// Blocking says that a finding is not a mere note.
func Blocking(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return !f.Note })
}

// Options is what Expand works with.
type Options struct {
	// Dir is what relative paths are relative to; empty is the process's own.
	Dir string
	// Stdin is read for the argument "-"; nil refuses it.
	Stdin io.Reader
	// Exclude lists directories that are never entered, such as the one that
	// results go to: they must not become tomorrow's sources.
	Exclude []string
}

// Expand lists the inputs that the arguments name, each once, and everything
// there is to say about the arguments. The inputs are complete when no finding
// is blocking and ctx is not done.
//
// A directory is taken with everything below it; files that are not audio by
// their extension are passed over there, and so is what is hidden, unfinished
// (.part) or left by macOS (._x). A file named by itself is always taken.
func Expand(ctx context.Context, args []string, o Options) ([]Input, []Finding) {
	e := expansion{ctx: ctx, options: o, seen: map[string]taken{}}
	for _, arg := range args {
		if ctx.Err() != nil {
			break
		}
		e.argument(arg)
	}
	return e.inputs, e.findings
}

// expansion is the state of one Expand.
type expansion struct {
	ctx      context.Context
	options  Options
	inputs   []Input
	findings []Finding
	// seen are the inputs by identity, to take each once.
	seen map[string]taken
	// turn counts the arguments and rows.
	turn int
	// stdinRead says that "-" was there already.
	stdinRead bool
}

func (e *expansion) fail(origin, source, format string, args ...any) {
	e.findings = append(e.findings, Finding{Origin: origin, Source: source, Reason: fmt.Sprintf(format, args...), Code: fault.Invalid})
}

func (e *expansion) note(origin, source, format string, args ...any) {
	e.findings = append(e.findings, Finding{Origin: origin, Source: source, Reason: fmt.Sprintf(format, args...), Note: true})
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

// taken is an input and the turn at which it was taken.
type taken struct {
	input Input
	turn  int
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
	key := identity + "\x00" + in.Overrides.identity()
	first, known := e.seen[key]
	if !known {
		e.seen[key] = taken{in, e.turn}
		e.inputs = append(e.inputs, in)
		return
	}
	if first.turn == e.turn {
		return // a pattern, or a directory with links, that reaches one file twice
	}
	by := first.input.Source
	if first.input.Origin != by {
		by += " (" + first.input.Origin + ")"
	}
	e.note(in.Origin, in.Source, "the same as %s, named before; taken once", by)
}
