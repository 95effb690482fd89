package bulk_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/segue-audio/segue/internal/audio"
	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/bulk"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// tone is a WAV file of 8,000 samples, which differ by number.
func tone(number int) []byte {
	head := []byte("RIFF\x64\x1f\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00data\x40\x1f\x00\x00")
	samples := make([]byte, 8000)
	binary.LittleEndian.PutUint32(samples, uint32(number))
	return append(head, samples...)
}

// writeManifest makes a table of so many rows over so many files. One row in a
// hundred is faulty, and one names a file that is no audio.
func writeManifest(tb testing.TB, dir string, rows, files int) (faulty int) {
	tb.Helper()
	check := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	for n := range files {
		check(os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d.wav", n)), tone(n), 0o600))
	}
	check(os.WriteFile(filepath.Join(dir, "words.wav"), []byte("these are words"), 0o600))
	f, err := os.Create(filepath.Join(dir, "rows.csv"))
	check(err)
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "source,continue-at,prompt")
	for n := range rows {
		switch {
		case n%100 == 17:
			fmt.Fprintf(w, "%05d.wav,soon,x\n", n%files)
			faulty++
		case n == 50:
			fmt.Fprintln(w, "words.wav,0.5,x")
			faulty++
		default:
			fmt.Fprintf(w, "%05d.wav,0.5,verse %d\n", n%files, n/files)
		}
	}
	check(w.Flush())
	check(f.Close())
	return faulty
}

// probe is what the command line probes with.
func probe(ctx context.Context, path string) (source.Probed, error) {
	info, err := audio.ProbeFile(ctx, path)
	if err != nil {
		return source.Probed{}, err
	}
	return source.Probed{Format: string(info.Format), Duration: info.Duration, Size: info.Size, SHA256: info.SHA256, Problem: info.Problem}, nil
}

// chain plans a manifest from its rows to the plan.
func chain(ctx context.Context, dir string, probe func(context.Context, string) (source.Probed, error), results func(context.Context, ...string) (map[string]bulk.Entry, error)) (*bulk.Plan, error) {
	settings := bulk.Settings{
		Now: noon, Results: results,
		Job: func(in source.Inspected) bulk.Job {
			return bulk.Job{Provider: "kie", Account: "main", Staging: "provider", Params: &provider.Params{Model: "V5", ContinueAt: *in.Overrides.ContinueAt, Prompt: *in.Overrides.Prompt}}
		},
		Price: func(bulk.Job) bulk.Price { return bulk.Price{Extend: 12} },
	}
	inspector := source.Inspector{Workers: 4, File: probe}
	return bulk.Make(ctx, inspector.All(ctx, source.All(ctx, []string{"rows.csv"}, source.Options{Dir: dir})), settings)
}

func TestPlanOfAManifest(t *testing.T) {
	const rows = 600
	dir := t.TempDir()
	faulty := writeManifest(t, dir, rows, 20)
	asked := 0
	p, err := chain(t.Context(), dir, probe, func(_ context.Context, keys ...string) (map[string]bulk.Entry, error) {
		asked += len(keys)
		return map[string]bulk.Entry{keys[0]: {Session: "ses_1", Files: []string{"x"}}}, nil
	})
	must(t, err)
	in := p.Inputs
	if in.Total != rows || in.Invalid != faulty || in.Findings != faulty || in.Valid != rows-faulty || in.Duplicates != 0 {
		t.Errorf("inputs %+v, want %d of %d to be invalid", in, faulty, rows)
	}
	// 593 keys are asked for in two parts, and of each part the first is known.
	if in.Reused != 2 || in.New+in.Reused != in.Valid || asked != in.Valid || p.Credits != float64(12*in.New) {
		t.Errorf("inputs %+v after %d lookups for %g credits, want each looked up once", in, asked, p.Credits)
	}
	again, err := chain(t.Context(), dir, probe, nil)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "00003.wav"), tone(7777), 0o600))
	moved, err := chain(t.Context(), dir, probe, nil)
	must(t, err)
	same, err := chain(t.Context(), dir, probe, nil)
	must(t, err)
	if again.Hash == moved.Hash || moved.Hash != same.Hash {
		t.Errorf("hashes %s, %s after a file changed, and %s again; want the first to be another", again.Hash, moved.Hash, same.Hash)
	}
}

// BenchmarkPlan plans tables from their text to the plan: 100,000 rows with every
// file read to its end, and a million with files that are only looked for.
func BenchmarkPlan(b *testing.B) {
	unread := func(_ context.Context, path string) (source.Probed, error) {
		if filepath.Base(path) == "words.wav" {
			return source.Probed{}, fault.New(fault.Invalid, "probe", nil)
		}
		return source.Probed{SHA256: fmt.Sprintf("%064s", strings.Trim(filepath.Base(path), ".wav"))}, nil
	}
	for rows, probe := range map[int]func(context.Context, string) (source.Probed, error){100_000: probe, 1_000_000: unread} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			dir := b.TempDir()
			faulty := writeManifest(b, dir, rows, 1000)
			most := uint64(0)
			for b.Loop() {
				asked := 0
				p, err := chain(b.Context(), dir, probe, func(_ context.Context, keys ...string) (map[string]bulk.Entry, error) {
					asked += len(keys)
					var m runtime.MemStats
					runtime.ReadMemStats(&m)
					most = max(most, m.Sys-m.HeapReleased)
					return nil, nil
				})
				if err != nil || p.Inputs.Total != rows || p.Inputs.Invalid != faulty || asked != rows-faulty {
					b.Fatalf("%v, %v after %d lookups; want %d rows of which %d are invalid", p, err, asked, rows, faulty)
				}
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(most)/(1<<20), "MB")
		})
	}
}
