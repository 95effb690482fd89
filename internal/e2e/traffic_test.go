package e2e_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/audio"
	"github.com/segue-audio/segue/internal/bucket"
	"github.com/segue-audio/segue/internal/bucket/buckettest"
)

// trafficFlag is how many bytes TestArchiveTraffic moves.
var trafficFlag = flag.Int64("archive.traffic", 256<<20, "bytes that TestArchiveTraffic moves")

// noise is a WAV file of so many bytes of sound.
func noise(size int) []byte {
	const rate, frame = 44100, 4
	var b bytes.Buffer
	b.WriteString("RIFF")
	for _, v := range []any{
		uint32(36 + size), []byte("WAVEfmt "), uint32(16), uint16(1), uint16(2), uint32(rate), uint32(rate * frame), uint16(frame), uint16(16),
		[]byte("data"), uint32(size),
	} {
		_ = binary.Write(&b, binary.LittleEndian, v) // a buffer takes everything
	}
	r := rand.NewChaCha8([32]byte{1})
	sound := make([]byte, size)
	_, _ = r.Read(sound) // it never fails
	b.Write(sound)
	return b.Bytes()
}

// put stores a file, and leaves nothing of it in memory.
func put(t *testing.T, in *bucket.Bucket, name string, content []byte) {
	t.Helper()
	if _, err := in.Put(t.Context(), name, bytes.NewReader(content), int64(len(content)), bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestArchiveTraffic moves files from a bucket of a real S3 server, as a provider's
// signed URLs, into an archive in another, four at once: the memory that this takes does
// not depend on how much is moved.
func TestArchiveTraffic(t *testing.T) {
	const (
		size   = 32 << 20
		atOnce = 4
		bound  = 64 << 20 // two of the files: none of them is ever in memory
	)
	server := buckettest.Start(t)
	source, kept := server.Bucket(t, "source"), server.Bucket(t, "kept")
	put(t, source, "song.wav", noise(size))
	url, err := source.Presign(t.Context(), "song.wav", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	store, err := archive.Open("s3://kept/all", archive.Options{
		HTTP: http.DefaultClient, S3: server.Options(), Spool: t.TempDir(),
		Probe: func(ctx context.Context, path string) (archive.Probed, error) {
			info, err := audio.ProbeFile(ctx, path)
			if err != nil {
				return archive.Probed{}, err
			}
			return archive.Probed{Format: string(info.Format), Duration: info.Duration, Size: info.Size, SHA256: info.SHA256, Problem: info.Problem}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	peak, stop := watchMemory()
	files := (*trafficFlag + size - 1) / size
	began := time.Now()
	var next atomic.Int64
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for n := next.Add(1); n <= files; n = next.Add(1) {
				got, err := store.Keep(t.Context(), archive.Want{URL: url, Key: fmt.Sprint("song-", n), Name: fmt.Sprintf("ses_1/%06d", n)})
				if err != nil {
					t.Error(err)
					return
				}
				name := strings.TrimPrefix(got.File, "s3://kept/")
				about, err := kept.Stat(t.Context(), name)
				if err != nil || about.Size != size+44 {
					t.Errorf("%s: %d bytes, %v; want %d", name, about.Size, err, size+44)
				}
				if err := kept.Remove(t.Context(), name); err != nil { // the disk is not what is tried
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	stop()
	took := time.Since(began)
	t.Logf("%d files of 32 MB, %.2f GB, in %s: %.0f MB/s; at most %d MB of heap", files,
		float64(files)*size/(1<<30), took.Round(time.Millisecond), float64(files)*32/took.Seconds(), peak.Load()>>20)
	if peak.Load() > bound {
		t.Errorf("%d MB of heap, want at most %d whatever is moved", peak.Load()>>20, bound>>20)
	}
}

// watchMemory samples the heap until it is stopped.
func watchMemory() (peak *atomic.Uint64, stop func()) {
	peak = new(atomic.Uint64)
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak.Store(max(peak.Load(), m.HeapAlloc))
			select {
			case <-end:
				return
			case <-ticker.C:
			}
		}
	}()
	return peak, func() { close(end); <-ended }
}
