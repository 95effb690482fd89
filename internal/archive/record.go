package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"path"

	"github.com/segue-audio/segue/internal/fault"
)

// maxCopies bounds how many different files one name leads to.
const maxCopies = 99

// record is the evidence that a file is a certain track. A name alone is none:
// an operator's re-run files another track under the same name, and people
// rename and edit. A HEAD request would be none either: URLs signed for GET
// refuse it, and a length is not an identity. So the record holds the track's
// key, and the digest of the bytes that were verified.
type record struct {
	// Track is the digest of Want.Key, or of the URL where there is no key.
	Track string `json:"track"`
	// File is the name that the track got, with its extension.
	File   string `json:"file"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	// Format and Duration save reading the file again where it lies far away.
	Format   string  `json:"format,omitempty"`
	Duration float64 `json:"durationSeconds,omitempty"`
}

func recordOf(w Want, file string, probed Probed) record {
	return record{
		Track: track(w), File: file, Size: probed.Size, SHA256: probed.SHA256, Format: probed.Format, Duration: probed.Duration.Seconds(),
	}
}

// parse reports whether the content is a record. One that is none says nothing.
func (r *record) parse(content []byte) bool { return json.Unmarshal(content, r) == nil }

// names reports whether the record can be of the wanted track: it may come from
// elsewhere, and must not lead out of the archive or into its own part.
func (r *record) names(w Want) bool {
	return r.Track == track(w) && checkName(r.File) == nil
}

func recordName(name string) string { return path.Join(recordsDir, name) + ".json" }

// track is the identity of a wanted track.
func track(w Want) string {
	if w.Key != "" {
		return digest("key " + w.Key)
	}
	return digest("url " + w.URL)
}

func sourceOf(w Want, target *url.URL) source {
	bare := url.URL{Scheme: target.Scheme, Host: target.Host, Path: target.Path}
	return source{Track: track(w), Origin: digest(bare.String())}
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// present finds the wanted track when it is there, bytes and all. It returns
// neither a track nor an error when it is to be downloaded.
func (d *directory) present(ctx context.Context, t *tree, w Want) (*Kept, error) {
	var r record
	if !t.readJSON(recordName(w.Name), &r) || !r.names(w) {
		return nil, nil
	}
	probed, err := d.compare(ctx, t, r.File, r.Size, r.SHA256)
	if errors.Is(err, errOther) {
		d.log.LogAttrs(ctx, slog.LevelWarn, "an archived track is gone or changed; it is downloaded again", slog.String("file", t.full(r.File)))
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return keptAt(t, r.File, probed), nil
}

// errOther is a file of other bytes, and errAbsent one that is not there.
var (
	errOther  = errors.New("not the file")
	errAbsent = errors.New("no such file")
)

// exact is a file by its name and its bytes.
type exact struct {
	file   string
	size   int64
	sha256 string
}

// sumOf gives the hex digest of all that r holds.
func sumOf(r io.Reader) (string, error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// compare examines a file and returns errOther when it does not hold exactly
// these bytes.
func (d *directory) compare(ctx context.Context, t *tree, file string, size int64, sha string) (Probed, error) {
	info, err := t.root.Lstat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Probed{}, errOther
	}
	if err != nil {
		return Probed{}, t.fault(err)
	}
	if !info.Mode().IsRegular() || info.Size() != size {
		return Probed{}, errOther
	}
	probed, err := d.inspect(ctx, t, file)
	if ctx.Err() != nil {
		return Probed{}, failed(fault.CodeOf(ctx.Err()), keepOp, ctx.Err())
	}
	if err != nil || probed.SHA256 != sha {
		return Probed{}, errOther
	}
	return probed, nil
}

// file gives a verified track its name. A file that is there already is never
// overwritten: it is the same, and stays, or it is another, and ours becomes
// "name (2)". The record is written before the file appears, so that a crash
// between the two costs nothing.
func (d *directory) file(ctx context.Context, t *tree, w Want, r ready) (*Kept, error) {
	if err := t.flush(r.name); err != nil {
		return nil, t.fault(err)
	}
	for number := 1; number <= maxCopies; number++ {
		file := copyName(w.Name, number) + "." + r.probed.Format
		filed, err := d.fileAs(ctx, t, w, r, file)
		if err != nil {
			return nil, err
		}
		if filed {
			return keptAt(t, file, r.probed), nil
		}
	}
	return nil, failed(fault.Conflict, keepOp, fmt.Errorf("there are %d other files of this name", maxCopies))
}

// fileAs tries one name, and reports false when another file has it.
func (d *directory) fileAs(ctx context.Context, t *tree, w Want, r ready, file string) (bool, error) {
	if err := t.mkdirFor(file); err != nil {
		return false, t.fault(err)
	}
	err := t.note(recordName(w.Name), recordOf(w, file, r.probed))
	if err == nil {
		err = t.link(r.name, file)
	}
	if errors.Is(err, fs.ErrExist) {
		_, err = d.compare(ctx, t, file, r.probed.Size, r.probed.SHA256)
		if errors.Is(err, errOther) {
			return false, nil
		}
		return err == nil, err
	}
	if err == nil {
		err = t.sync(file)
	}
	if err != nil {
		return false, t.fault(err)
	}
	return true, nil
}

func copyName(name string, number int) string {
	if number == 1 {
		return name
	}
	return fmt.Sprintf("%s (%d)", name, number)
}

func keptAt(t *tree, file string, probed Probed) *Kept {
	return &Kept{File: t.full(file), Size: probed.Size, SHA256: probed.SHA256, Format: probed.Format, Duration: probed.Duration.Seconds()}
}
