package archive

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/segue-audio/segue/internal/fault"
)

// DefaultLayout is where tracks are filed when nothing else is configured.
const DefaultLayout = "{session}/{index}-{stem}-{n}.{ext}"

// Fields are what a layout may speak of. What is empty becomes a word that says
// so: untitled, unknown, undated.
type Fields struct {
	// Session is the session's id, and Name what its producer called it.
	Session, Name string
	// Index is the item's place in the session, from 0, and Stem its source's name
	// without directory and extension.
	Index int
	Stem  string
	// N is the track's number among the item's, from 1; AudioID is the provider's
	// id of it, and Title its title.
	N              int
	AudioID, Title string

	Provider, Account, Model string
	// Date is the day that the item was submitted, in whatever zone it is given.
	Date time.Time
}

// fields gives every field's text for a file's name. limit bounds the texts that
// people wrote, in bytes. Ids are never shortened to something that another id
// could be shortened to.
var fields = map[string]func(f *Fields, limit int) string{
	"session":  func(f *Fields, _ int) string { return safeID(f.Session) },
	"name":     func(f *Fields, limit int) string { return brief(f.Name, nameless, limit) },
	"index":    func(f *Fields, _ int) string { return fmt.Sprintf("%03d", f.Index) },
	"stem":     func(f *Fields, limit int) string { return brief(f.Stem, nameless, limit) },
	"n":        func(f *Fields, _ int) string { return strconv.Itoa(f.N) },
	"audio_id": func(f *Fields, _ int) string { return safeID(f.AudioID) },
	"title":    func(f *Fields, limit int) string { return brief(f.Title, nameless, limit) },
	"provider": func(f *Fields, limit int) string { return brief(f.Provider, "unknown", limit) },
	"account":  func(f *Fields, limit int) string { return brief(f.Account, "unknown", limit) },
	"model":    func(f *Fields, limit int) string { return brief(f.Model, "unknown", limit) },
	"date": func(f *Fields, _ int) string {
		if f.Date.IsZero() {
			return "undated"
		}
		return f.Date.Format(time.DateOnly)
	},
}

// Layout is a template of file names, as in DefaultLayout. The zero Layout is the
// default one.
//
// Whatever the fields hold, the names that it gives are safe on every file system
// and lead nowhere else; every value is made safe by SafeName, and long ones are
// shortened where a name would be too long. No two tracks of a session have one
// name.
type Layout struct {
	text  string
	parts [][]piece
}

// piece is literal text, or a field.
type piece struct{ literal, field string }

func (p piece) isText() bool { return p.field == "" }

const (
	// maxNameBytes is the longest name, which leaves room for a prefix within the
	// 1024 bytes of S3.
	maxNameBytes = 700
	// minLimit is the shortest that texts are made.
	minLimit = 8
)

// ParseLayout reads a template. It must end in .{ext}, and tell the tracks of a
// session apart: by {index} and {n}, or by {audio_id}. What is wrong with it is
// invalid, all of it at once.
func ParseLayout(text string) (Layout, error) {
	l := Layout{text: text}
	stem, ok := strings.CutSuffix(text, ".{ext}")
	var findings []error
	if !ok {
		findings = append(findings, errors.New("it must end in .{ext}"))
	}
	used := map[string]bool{}
	for part := range strings.SplitSeq(stem, "/") {
		pieces, err := parsePart(part)
		findings = append(findings, err)
		l.parts = append(l.parts, pieces)
		for _, p := range pieces {
			used[p.field] = true
		}
	}
	switch {
	case used["audio_id"]: // no two tracks have one
	case !used["index"] || !used["n"]:
		findings = append(findings, errors.New("it must contain {index} and {n}, or {audio_id}: two tracks of a session would have one name"))
	default:
		findings = append(findings, l.checkNumbers())
	}
	err := errors.Join(append(findings, l.checkLength())...)
	if err == nil {
		err = l.try()
	}
	if err != nil {
		return Layout{}, failed(fault.Invalid, "archive.ParseLayout", fmt.Errorf("the layout %q: %w", text, err))
	}
	return l, nil
}

// parsePart reads what stands between two slashes.
func parsePart(text string) ([]piece, error) {
	var pieces []piece
	for text != "" {
		at := strings.IndexAny(text, "{}")
		if at < 0 {
			at = len(text)
		}
		if at > 0 {
			pieces = append(pieces, piece{literal: text[:at]})
			text = text[at:]
			continue
		}
		name, rest, ok := strings.Cut(text[1:], "}")
		switch {
		case text[0] == '}' || !ok || strings.Contains(name, "{"):
			return nil, errors.New("{ and } must stand around a field's name")
		case name == "ext":
			return nil, errors.New("{ext} can stand at the end only, as .{ext}")
		case fields[name] == nil:
			return nil, fmt.Errorf("there is no field {%s}; there are {%s} and {ext}", name, strings.Join(slices.Sorted(maps.Keys(fields)), "}, {"))
		}
		pieces = append(pieces, piece{field: name})
		text = rest
	}
	return pieces, nil
}

// try renders a name, so that a layout whose own text cannot be in a file's name
// is found before there is a track to keep.
func (l Layout) try() error {
	sample := Fields{Session: "s", Name: "a", Stem: "b", N: 1, AudioID: "c", Title: "d", Provider: "e", Account: "f", Model: "g", Date: time.Unix(0, 0)}
	rendered := make([]string, len(l.parts))
	for i, part := range l.parts {
		rendered[i] = renderPart(part, &sample, minLimit)
	}
	return errors.Join(checkName(strings.Join(rendered, "/")), checkName(l.Item(sample)))
}

// String gives the template.
func (l Layout) String() string {
	if l.text == "" {
		return DefaultLayout
	}
	return l.text
}

// Track names a track, for Want.Name: without the extension.
func (l Layout) Track(f Fields) string { return l.orDefault().render(&f) }

// Item names what lies beside an item's tracks, such as its sidecar: the track's
// name without {n} and, where that still tells items apart, without {audio_id},
// which otherwise must be that of the item's first track. A layout without the
// session's id, which sessions may share names in, has it added here, since
// sidecars replace each other.
func (l Layout) Item(f Fields) string {
	l = l.orDefault()
	drop := map[string]bool{"n": true, "audio_id": l.has("index")}
	item := Layout{parts: make([][]piece, 0, len(l.parts))}
	for _, part := range l.parts {
		if part = dropped(part, drop); len(part) > 0 {
			item.parts = append(item.parts, part)
		}
	}
	if !item.has("session") && !item.has("audio_id") {
		last := len(item.parts) - 1
		item.parts[last] = append(slices.Clone(item.parts[last]), piece{literal: "-"}, piece{field: "session"})
	}
	return item.render(&f)
}

func (l Layout) has(field string) bool {
	return slices.ContainsFunc(l.parts, func(part []piece) bool { return slices.Contains(part, piece{field: field}) })
}

// dropped takes fields out, and with each the text that joined it to the field
// before, or at the beginning to the one that follows.
func dropped(part []piece, drop map[string]bool) []piece {
	const joints = " -_.,+~"
	var kept []piece
	trimNext := false
	for _, p := range part {
		last := len(kept) - 1
		switch {
		case drop[p.field]:
			if last >= 0 && kept[last].isText() {
				kept[last].literal = strings.TrimRight(kept[last].literal, joints)
			}
			trimNext = len(kept) == 0
			continue
		case p.isText() && trimNext:
			p.literal = strings.TrimLeft(p.literal, joints)
		}
		trimNext = false
		if p != (piece{}) {
			kept = append(kept, p)
		}
	}
	return slices.DeleteFunc(kept, func(p piece) bool { return p == piece{} })
}

var defaultParts = [][]piece{
	{{field: "session"}},
	{{field: "index"}, {literal: "-"}, {field: "stem"}, {literal: "-"}, {field: "n"}},
}

func (l Layout) orDefault() Layout {
	if l.parts == nil {
		return Layout{parts: defaultParts}
	}
	return l
}

// render gives a name, with texts as long as they may be.
func (l Layout) render(f *Fields) string {
	for limit := maxStemBytes; ; limit -= minLimit {
		name, fits := l.renderWithin(f, limit)
		if fits || limit <= minLimit {
			return name
		}
	}
}

func (l Layout) renderWithin(f *Fields, limit int) (name string, fits bool) {
	parts := make([]string, len(l.parts))
	fits = true
	for i, part := range l.parts {
		parts[i] = renderPart(part, f, limit)
		fits = fits && len(parts[i]) <= maxPartBytes
	}
	name = strings.Join(parts, "/")
	return name, fits && len(name) <= maxNameBytes
}

func renderPart(part []piece, f *Fields, limit int) string {
	var text strings.Builder
	for _, p := range part {
		if p.isText() {
			text.WriteString(p.literal)
		} else {
			text.WriteString(fields[p.field](f, limit))
		}
	}
	// Values that are safe by themselves can make a device's name together.
	if reserved.MatchString(text.String()) {
		return "_" + text.String()
	}
	return text.String()
}

// brief makes a text safe, and no longer than limit.
func brief(text, none string, limit int) string {
	if strings.TrimSpace(text) == "" {
		return none
	}
	text = SafeName(text)
	for len(text) > limit {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return SafeName(text)
}

const maxID = 64

// safeID makes an id safe. One that has to be changed for that gets a digest, by
// which it stays another than every other id.
func safeID(id string) string {
	safe := SafeName(id)
	if safe == id && len(id) <= maxID {
		return id
	}
	return brief(safe, nameless, maxID-9) + "-" + digest(id)[:8]
}
