package source

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// extensions are those of the formats that package audio reads. They decide
// only what is passed over below directories; what a file is, its bytes say.
var extensions = map[string]bool{
	".aac": true, ".aif": true, ".aifc": true, ".aiff": true, ".flac": true, ".m4a": true, ".m4b": true,
	".mp3": true, ".mp4": true, ".oga": true, ".ogg": true, ".opus": true, ".wav": true, ".wave": true,
}

// isAudio says that a file is audio by its extension.
func isAudio(name string) bool { return extensions[strings.ToLower(path.Ext(name))] }

// local expands a path: a file, a directory or a glob. A path that exists is
// never a glob: "song [live].mp3" is a fine name.
func (e *expansion) local(abs string, r row) {
	stat, err := os.Stat(abs)
	switch {
	case err == nil && stat.IsDir():
		e.directory(abs, r)
	case err == nil:
		e.file(abs, stat, r)
	case errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(r.source, `*?[{`):
		e.glob(abs, r)
	default:
		e.fail(r.origin, r.shown, "%s", reason(err))
	}
}

// file takes one file that was named.
func (e *expansion) file(abs string, stat fs.FileInfo, r row) {
	if !stat.Mode().IsRegular() {
		e.fail(r.origin, r.shown, "this is not a file")
		return
	}
	f, err := os.Open(abs)
	if err != nil {
		e.fail(r.origin, r.shown, "%s", reason(err))
		return
	}
	_ = f.Close() // nothing was written
	e.take(abs, r.shown, r)
}

// take adds a local file, known by what it really is behind its links.
func (e *expansion) take(abs, shown string, r row) {
	identity, err := e.identity(abs)
	if err != nil {
		e.fail(r.origin, shown, "%s", reason(err))
		return
	}
	e.add(identity, Input{Source: shown, Path: abs, Origin: r.origin, Overrides: r.overrides})
}

// identity is what a file really is behind links. Of a manifest's rows, most lie
// where the one before does: that directory's links are known.
func (e *expansion) identity(abs string) (string, error) {
	stat, err := os.Lstat(abs)
	if err != nil || stat.Mode()&fs.ModeSymlink != 0 {
		return filepath.EvalSymlinks(abs)
	}
	dir, name := filepath.Split(abs)
	if dir != e.lastDir {
		target, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return "", err
		}
		e.lastDir, e.lastReal = dir, target
	}
	return filepath.Join(e.lastReal, name), nil
}

// directory takes all audio below a directory.
func (e *expansion) directory(abs string, r row) {
	var found, other int
	complete := e.walk(abs, r, -1, func(rel string) {
		if !isAudio(rel) {
			other++
			return
		}
		found++
		e.take(filepath.Join(abs, filepath.FromSlash(rel)), shownBelow(r.shown, rel), r)
	})
	switch {
	case found > 0 || !complete:
	case other == 0:
		e.fail(r.origin, r.shown, "the directory is empty")
	case other == 1:
		e.fail(r.origin, r.shown, "no audio files here; the one file there is was ignored")
	default:
		e.fail(r.origin, r.shown, "no audio files here; %d other files were ignored", other)
	}
}

// glob takes the files that a pattern matches. A pattern that ends in an
// extension says what it wants; of any other, only audio is taken.
func (e *expansion) glob(abs string, r row) {
	base, pattern := split(abs)
	if !doublestar.ValidatePattern(pattern) {
		e.fail(r.origin, r.shown, "the pattern is broken: a [ or { is not closed, or a \\ ends it")
		return
	}
	anything := namesExtension(pattern)
	depth := -1
	if !strings.Contains(pattern, "**") {
		depth = strings.Count(pattern, "/")
	}
	found, other := 0, 0
	shownBase, asTyped := strings.CutSuffix(filepath.ToSlash(r.shown), pattern)
	if !asTyped {
		shownBase = filepath.ToSlash(base) + "/"
	}
	complete := e.walk(base, r, depth, func(rel string) {
		switch matched, err := doublestar.Match(pattern, rel); {
		case err != nil || !matched:
		case !anything && !isAudio(rel):
			other++
		default:
			found++
			e.take(filepath.Join(base, filepath.FromSlash(rel)), filepath.FromSlash(shownBase+rel), r)
		}
	})
	switch {
	case found > 0 || !complete:
	case other > 0:
		e.fail(r.origin, r.shown, "matches no audio files (%d other)", other)
	default:
		e.fail(r.origin, r.shown, "matches nothing")
	}
}

// namesExtension says that a pattern ends in an extension, and so says what it wants.
func namesExtension(pattern string) bool {
	ext := path.Ext(pattern)
	return len(ext) > 1 && !strings.ContainsAny(ext, `*?[]{}\`)
}

// split parts a path into the directory that is there and the pattern below it.
// A name that exists is no pattern, whatever characters it has.
func split(abs string) (base, pattern string) {
	base = filepath.VolumeName(abs) + string(filepath.Separator)
	names := strings.Split(filepath.ToSlash(strings.TrimPrefix(abs, base)), "/")
	for len(names) > 1 {
		below := filepath.Join(base, names[0])
		if stat, err := os.Stat(below); err != nil || !stat.IsDir() {
			break
		}
		base, names = below, names[1:]
	}
	return base, strings.Join(names, "/")
}

// shownBelow is a file below a directory as people would type it.
func shownBelow(dir, rel string) string {
	return filepath.Join(dir, filepath.FromSlash(rel))
}

// reason says what the system found wrong with a file, without its name.
func reason(err error) string {
	var pathErr *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file or directory"
	case errors.Is(err, fs.ErrPermission):
		return "reading it is not permitted"
	case errors.As(err, &pathErr):
		return pathErr.Err.Error()
	}
	return err.Error()
}
