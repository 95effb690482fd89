package source_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/fault"
)

// probes answers by path.
func probes(answers map[string]any) func(context.Context, string) (source.Probed, error) {
	return func(_ context.Context, path string) (source.Probed, error) {
		switch answer := answers[path].(type) {
		case source.Probed:
			return answer, nil
		case error:
			return source.Probed{}, answer
		}
		return source.Probed{}, fmt.Errorf("unexpected path %q", path)
	}
}

func TestInspect(t *testing.T) {
	song := source.Probed{Format: "mp3", Duration: 3 * time.Second, Size: 9, SHA256: "aa"}
	cut := source.Probed{Format: "wav", SHA256: "bb", Problem: "cut off: the header promises 12.3 s, 4.1 s are there"}
	inputs := []source.Input{
		{Source: "songs/a.mp3", Path: "/a", Origin: "songs"},
		{Source: "songs/text.mp3", Path: "/text", Origin: "songs"},
		{Source: "songs/cut.wav", Path: "/cut", Origin: "songs"},
		{Source: "songs/copy.mp3", Path: "/copy", Origin: "rows.jsonl:7"},
		{Source: "songs/gone.mp3", Path: "/gone", Origin: "songs"},
		{Source: "https://h/x.mp3", URL: "https://h/x.mp3?s3cr3t", Origin: "https://h/x.mp3"},
		{Source: "https://h/y.mp3", URL: "https://h/y.mp3", Origin: "rows.jsonl:9"},
		{Source: "songs/a.mp3", Path: "/a", Origin: "rows.jsonl:8"},
	}
	var done atomic.Int32
	inspector := source.Inspector{
		Workers: 3,
		File: probes(map[string]any{
			"/a": song, "/copy": song, "/cut": cut,
			"/text": fault.New(fault.Invalid, "audio.Probe", errors.New("this is not audio (it looks like text)")),
			"/gone": &fs.PathError{Op: "open", Path: "/gone", Err: fs.ErrNotExist},
		}),
		URL: probes(map[string]any{
			"https://h/x.mp3?s3cr3t": source.Probed{Format: "ogg", Size: 4},
			"https://h/y.mp3":        fault.New(fault.Unavailable, "probe.URL", errors.New("h answers 503")),
		}),
		Done: func(source.Inspected) { done.Add(1) },
	}
	inspected, findings, err := inspector.Inspect(t.Context(), inputs)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range findings {
		lines = append(lines, fmt.Sprintf("%s|%s|%t", f.Error(), f.Code, f.Note))
	}
	want := []string{
		"songs/text.mp3: this is not audio (it looks like text)|invalid|false",
		"songs/cut.wav: cut off: the header promises 12.3 s, 4.1 s are there|invalid|false",
		"rows.jsonl:7: songs/copy.mp3: has the same content as songs/a.mp3; both are taken||true",
		"songs/gone.mp3: there is no such file or directory|internal|false",
		"rows.jsonl:9: https://h/y.mp3: h answers 503|unavailable|false",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	valid := []bool{true, false, false, true, false, true, false, true}
	for n, in := range inspected {
		if diff := cmp.Diff(inputs[n], in.Input); diff != "" {
			t.Errorf("entry %d is another input (-want +got):\n%s", n, diff)
		}
		if in.Valid != valid[n] {
			t.Errorf("%s: valid = %t, want %t", in.Source, in.Valid, valid[n])
		}
	}
	if diff := cmp.Diff(song, inspected[0].Probed); diff != "" {
		t.Errorf("probed (-want +got):\n%s", diff)
	}
	if done.Load() != 8 {
		t.Errorf("Done was called %d times, want 8", done.Load())
	}
}

func TestInspectTakesURLsUnseen(t *testing.T) {
	in := []source.Input{{Source: "https://h/x", URL: "https://h/x", Origin: "https://h/x"}}
	inspected, findings, err := source.Inspector{}.Inspect(t.Context(), in)
	if err != nil || len(findings) != 0 || !inspected[0].Valid || inspected[0].Probed.Size != -1 {
		t.Errorf("Inspect without a prober = %+v, %v, %v; want it valid and of unknown size", inspected, findings, err)
	}
	if inspected, findings, err := (source.Inspector{}).Inspect(t.Context(), nil); len(inspected)+len(findings) != 0 || err != nil {
		t.Errorf("Inspect of nothing = %v, %v, %v; want nothing", inspected, findings, err)
	}
}

// Every worker waits until all of them are at work: fewer at once would never
// end, more are counted.
func TestInspectWorkers(t *testing.T) {
	const workers = 4
	inputs := make([]source.Input, 3*workers)
	for n := range inputs {
		inputs[n] = source.Input{Source: fmt.Sprint(n), Path: fmt.Sprint(n), Origin: "x"}
	}
	var running, most atomic.Int32
	arrived := make(chan struct{})
	_, _, err := source.Inspector{Workers: workers, File: func(context.Context, string) (source.Probed, error) {
		n := running.Add(1)
		defer running.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			continue
		}
		if n == workers {
			select {
			case <-arrived:
			default:
				close(arrived)
			}
		}
		<-arrived
		return source.Probed{}, nil
	}}.Inspect(t.Context(), inputs)
	if err != nil || most.Load() != workers {
		t.Errorf("%d files at once, error %v; want %d", most.Load(), err, workers)
	}
}

func TestInspectStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	inputs := make([]source.Input, 1000)
	for n := range inputs {
		inputs[n] = source.Input{Source: "x", Path: "x", Origin: "x"}
	}
	var probed atomic.Int32
	_, findings, err := source.Inspector{Workers: 2, File: func(ctx context.Context, _ string) (source.Probed, error) {
		probed.Add(1)
		cancel()
		return source.Probed{}, ctx.Err()
	}}.Inspect(ctx, inputs)
	if fault.CodeOf(err) != fault.Canceled || findings != nil {
		t.Errorf("Inspect = %v with %d findings, want canceled with none", err, len(findings))
	}
	if n := probed.Load(); n == 1000 {
		t.Error("all 1000 files were probed after the context had ended")
	}
}
