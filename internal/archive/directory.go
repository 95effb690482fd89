package archive

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"

	"github.com/segue-audio/segue/internal/fault"
)

// directory is an archive in a directory, which may be shared by many machines.
type directory struct {
	intake
	path string
}

func openDirectory(dir string, o Options) (*directory, error) {
	if err := makeTree(dir); err != nil {
		return nil, err
	}
	return &directory{intake: newIntake(o), path: dir}, nil
}

// Put implements Archive.
func (d *directory) Put(ctx context.Context, name string, r io.Reader) error {
	const op = "archive.Put"
	if err := checkName(name); err != nil {
		return failed(fault.Invalid, op, err)
	}
	t, err := openTree(d.path, op)
	if err != nil {
		return err
	}
	defer t.close()
	if err := t.write(name, whileAlive{ctx, r}); err != nil {
		if ctx.Err() != nil {
			return failed(fault.CodeOf(ctx.Err()), op, ctx.Err())
		}
		return t.fault(err)
	}
	return nil
}

// whileAlive stops a copy between two reads when its context ends.
type whileAlive struct {
	ctx  context.Context
	from io.Reader
}

func (w whileAlive) Read(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.from.Read(b)
}

// Keep implements Archive.
func (d *directory) Keep(ctx context.Context, w Want) (*Kept, error) {
	target, err := check(w)
	if err != nil {
		return nil, failed(fault.Invalid, keepOp, err)
	}
	t, err := openTree(d.path, keepOp)
	if err != nil {
		return nil, err
	}
	defer t.close()
	kept, err := d.present(ctx, t, w)
	if kept == nil && err == nil {
		kept, err = d.fetch(ctx, t, target, w, func(r ready) (*Kept, error) { return d.file(ctx, t, w, r) })
	}
	if err != nil {
		return nil, err
	}
	d.tidy(ctx, t, w.Name)
	return kept, nil
}

// tidy removes what nobody will go on with.
func (in *intake) tidy(ctx context.Context, t *tree, name string) {
	if err := t.clean(name); err != nil {
		in.log.LogAttrs(ctx, slog.LevelWarn, "a finished download was not tidied away", slog.String("name", name), slog.Any("error", err))
	}
}

// check implements checker: a file can be written, made durable and removed.
func (d *directory) check(context.Context) error {
	t, err := openTree(d.path, checkOp)
	if err != nil {
		return err
	}
	defer t.close()
	name := path.Join(partsDir, "check."+rand.Text()[:8])
	if err := t.write(name, io.LimitReader(rand.Reader, 1<<10)); err != nil {
		return t.fault(err)
	}
	if err := t.remove(name); err != nil {
		return t.fault(err)
	}
	return nil
}

// makeTree makes an archive's directory, and what the archive needs in it.
func makeTree(dir string) error {
	const op = "archive.Open"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return diskFault(op, dir, err)
	}
	t, err := openTree(dir, op)
	if err != nil {
		return err
	}
	defer t.close()
	if err := t.mkdirFor(path.Join(partsDir, "any")); err != nil {
		return t.fault(fmt.Errorf("%s: %w", partsDir, err))
	}
	return nil
}
