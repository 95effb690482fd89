package archive

import (
	"context"
	"io/fs"
	"log/slog"
	"path"
	"strings"
	"time"
)

// abandonedAfter is how old a file of the spool is when nobody will go on with it:
// no provider keeps a result for that long, so it cannot be wanted any more.
const abandonedAfter = 30 * 24 * time.Hour

// sweep removes what downloads left here whose items were finished elsewhere, or
// never. It is a service to the disk: what fails is logged.
func (r *remote) sweep() {
	t, err := openTree(r.spool, "archive.Open")
	if err != nil {
		return // whoever keeps something here will be told
	}
	defer t.close()
	if err := t.sweep(time.Now().Add(-abandonedAfter)); err != nil {
		r.log.LogAttrs(context.Background(), slog.LevelWarn, "old downloads were not removed", slog.String("spool", r.spool), slog.Any("error", err))
	}
}

// sweep removes the files and empty directories below the parts that nobody has
// touched since.
func (t *tree) sweep(since time.Time) error {
	return fs.WalkDir(t.root.FS(), partsDir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == partsDir {
			return err
		}
		info, err := entry.Info()
		if err != nil || info.ModTime().After(since) {
			return nil //nolint:nilerr // it was just removed, by whom it belongs to
		}
		err = t.remove(name)
		if err != nil && !entry.IsDir() {
			return err
		}
		return nil // a directory that is not empty stays
	})
}

// mediaTypes are what an archive holds, by extension.
var mediaTypes = map[string]string{
	".aac": "audio/aac", ".aiff": "audio/aiff", ".flac": "audio/flac", ".jpg": "image/jpeg", ".json": "application/json",
	".m4a": "audio/mp4", ".mp3": "audio/mpeg", ".mp4": "audio/mp4", ".ogg": "audio/ogg", ".opus": "audio/ogg",
	".png": "image/png", ".wav": "audio/wav", ".webp": "image/webp",
}

// contentType gives a file's media type, empty when it is not known.
func contentType(name string) string { return mediaTypes[strings.ToLower(path.Ext(name))] }
