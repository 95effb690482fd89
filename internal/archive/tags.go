package archive

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/segue-audio/segue/internal/fault"
)

// Tags is what is written into an archived file beside its sound: into mp3 as
// ID3v2, into flac as Vorbis comments, into others not at all. An empty value
// leaves what the provider wrote; the zero Tags leave the file alone.
type Tags struct {
	// Title replaces the title.
	Title string
	// Comment replaces the comment; it is a place for ids.
	Comment string
}

// The longest texts that are written, in characters. Players show far less.
const (
	maxTitle   = 1000
	maxComment = 4000
)

// clean gives the tags as they can be written.
func (t Tags) clean() Tags {
	return Tags{Title: plainText(t.Title, maxTitle), Comment: plainText(t.Comment, maxComment)}
}

// plainText drops what no tag may contain, and what is too much.
func plainText(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit])
	}
	return text
}

// errUntaggable is a file that cannot be given tags without touching what it is
// not ours to touch. It is kept as it is.
var errUntaggable = errors.New("the file's own tags are of a kind that is left alone")

// maxDrift is by how much a file's measured duration may change by being tagged:
// nothing, but for the measure's own rounding.
const maxDrift = 20 * time.Millisecond

// tagged makes a copy of a track with tags, beside its part, and makes sure that
// it is the same sound and whole. A track that cannot be tagged is filed as it is.
func (in *intake) tagged(ctx context.Context, p *part, w Want, r ready) (ready, error) {
	tags := w.Tags.clean()
	write := taggers[r.probed.Format]
	if tags == (Tags{}) || write == nil {
		return r, nil
	}
	err := p.tree.create(p.taggedName(), func(file *os.File) error { return write(file, p.file, r.probed.Size, tags) })
	if errors.Is(err, errUntaggable) {
		return in.untagged(ctx, p, w, r, err)
	}
	if err != nil {
		return ready{}, p.tree.fault(errors.Join(err, p.tree.remove(p.taggedName())))
	}
	probed, err := in.inspect(ctx, p.tree, p.taggedName())
	if err != nil && fault.CodeOf(err) != fault.Malformed {
		return ready{}, err
	}
	if drift := probed.Duration - r.probed.Duration; err != nil || drift.Abs() > maxDrift || probed.Format != r.probed.Format || probed.Problem != "" {
		return in.untagged(ctx, p, w, r, errors.New("with tags it would not be the same sound"))
	}
	return ready{name: p.taggedName(), probed: probed}, nil
}

func (in *intake) untagged(ctx context.Context, p *part, w Want, r ready, reason error) (ready, error) {
	in.log.LogAttrs(ctx, slog.LevelWarn, "a track is kept without tags", slog.String("name", w.Name), slog.Any("reason", reason))
	if err := p.tree.remove(p.taggedName()); err != nil {
		return ready{}, p.tree.fault(err)
	}
	return r, nil
}

// tagger writes a copy of a file with tags. Everything that is not a tag is the
// same bytes in the same order. It returns errUntaggable before it writes, or
// leaves what it wrote to be thrown away.
type tagger func(to io.Writer, from io.ReaderAt, size int64, tags Tags) error

var taggers = map[string]tagger{"mp3": tagMP3, "flac": tagFLAC}

// span is bytes of the file that are copied as they are.
type span struct{ start, length int64 }

// copySpans copies bytes of one file to the end of another.
func copySpans(to io.Writer, from io.ReaderAt, spans ...span) error {
	for _, s := range spans {
		if _, err := io.Copy(to, io.NewSectionReader(from, s.start, s.length)); err != nil {
			return err
		}
	}
	return nil
}

// readSpan reads bytes whose number is bounded by the caller.
func readSpan(from io.ReaderAt, start, length int64) ([]byte, error) {
	content := make([]byte, length)
	if _, err := from.ReadAt(content, start); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return content, nil
}
