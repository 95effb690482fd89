package archive_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/bucket/buckettest"
)

var megabytes = flag.Int("archive.megabytes", 65, "how long the file is that passes through flat memory, in MiB")

// TestRemoteChild is the worker that TestRemoteKilledWorker kills.
func TestRemoteChild(t *testing.T) {
	spool := os.Getenv("SEGUE_TEST_ARCHIVE_SPOOL")
	if spool == "" {
		t.Skip("it runs as the child of TestRemoteKilledWorker")
	}
	worker := open(t, "s3://songs/kept", func(o *archive.Options) {
		o.Spool, o.S3.Endpoint, o.S3.Region = spool, os.Getenv("SEGUE_TEST_ARCHIVE_S3"), buckettest.Region
		o.S3.AccessKey, o.S3.SecretKey = buckettest.AccessKey, buckettest.SecretKey
	})
	_, err := worker.Keep(t.Context(), archive.Want{URL: os.Getenv("SEGUE_TEST_ARCHIVE_URL"), Name: name})
	t.Fatalf("Keep returned: %v", err)
}

// A worker is killed while it downloads, and while it stores. Its successor asks
// the provider for what is missing only, and nobody ever sees half a track.
func TestRemoteKilledWorker(t *testing.T) {
	store := buckettest.Start(t)
	for _, c := range []struct {
		name string
		size float64 // in seconds: 8000 bytes each
		// dies says at which request to the store the worker is killed; nil means
		// in the middle of its download, after 32 MiB.
		dies func(*http.Request) bool
	}{
		{"while downloading", 5000, nil},
		{"while storing", 2000, func(r *http.Request) bool {
			if r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, ".wav") {
				return false
			}
			_, _ = io.CopyN(io.Discard, r.Body, 10<<20)
			return true
		}},
		{"while storing a part", 8500, func(r *http.Request) bool { return r.URL.Query().Get("partNumber") == "3" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			content := wav(c.size, 1)
			v := openVault(t, store, t.TempDir())
			if err := v.songs(t, store).Remove(t.Context(), "kept/"+name+".wav"); err != nil {
				t.Fatal(err)
			}
			server := killedWorker(t, store, v.spool, content, c.dies)
			if _, err := os.Stat(filepath.Join(v.objects, name+".wav")); err == nil {
				t.Error("there is a track that was not stored to its end")
			}
			kept, err := v.Keep(t.Context(), archive.Want{URL: server.url(), Name: name, Duration: c.size})
			v.check(t, kept, err, name+".wav", content)
			v.checkObjects(t, name+".wav")
			ranges := server.ranges()
			if c.dies == nil && (len(ranges) != 2 || ranges[1] < "bytes=33554432-" || ranges[1] > "bytes=39000000-") {
				t.Errorf("ranges %q, want a second from after 32 MiB on", ranges)
			}
			if c.dies != nil && len(ranges) != 1 {
				t.Errorf("ranges %q, want one: everything was here", ranges)
			}
		})
	}
}

// killedWorker runs a worker on a spool until it is killed, and returns the server
// that it downloaded from.
func killedWorker(t *testing.T, store *buckettest.Server, spool string, content []byte, dies func(*http.Request) bool) *script {
	t.Helper()
	var child *exec.Cmd
	started := make(chan struct{})
	kill := sync.OnceFunc(func() { <-started; _ = child.Process.Kill() })
	server := serve(t, whole(content, `"v1"`))
	if dies == nil {
		dies = func(*http.Request) bool { return false }
		server.then(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"v1"`)
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
			_, _ = w.Write(content[:39_000_000])
			_ = http.NewResponseController(w).Flush()
			waitForFile(r.Context().Done(), spool, ".part.json")
			kill()
			<-r.Context().Done()
		}, whole(content, `"v1"`))
	}
	front := &archive.Options{}
	through(t, store, func(_ http.ResponseWriter, r *http.Request) bool {
		if dies(r) {
			kill()
			panic(http.ErrAbortHandler)
		}
		return false
	})(front)
	child = exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRemoteChild$")
	child.Env = append(os.Environ(), "SEGUE_TEST_ARCHIVE_SPOOL="+spool, "SEGUE_TEST_ARCHIVE_S3="+front.S3.Endpoint, "SEGUE_TEST_ARCHIVE_URL="+server.url())
	var said bytes.Buffer
	child.Stdout, child.Stderr = &said, &said
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	if err := child.Wait(); err == nil || strings.Contains(said.String(), "Keep returned") {
		t.Fatalf("the worker ended by itself: %v\n%s", err, &said)
	}
	return server
}

// waitForFile returns when there is a file whose name ends so.
func waitForFile(done <-chan struct{}, dir, suffix string) {
	for {
		select {
		case <-done:
			return
		default:
		}
		found := false
		_ = filepath.WalkDir(dir, func(path string, _ os.DirEntry, _ error) error {
			found = found || strings.HasSuffix(path, suffix)
			return nil
		})
		if found {
			return
		}
		runtime.Gosched()
	}
}

// A large file passes through to the bucket, in one piece and in parts, without
// staying in memory.
func TestRemoteFlatMemory(t *testing.T) {
	store := buckettest.Start(t)
	for _, size := range []int{16, *megabytes} {
		samples := size << 20
		chunk := bytes.Repeat([]byte("0123456789abcdef"), 4096)
		server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(44+samples))
			_, _ = w.Write(wavHeader(samples))
			for range samples / len(chunk) {
				_, _ = w.Write(chunk)
			}
		})
		v := openVault(t, store, t.TempDir())
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		kept, err := v.Keep(t.Context(), archive.Want{URL: server.url(), Name: fmt.Sprint("ses_1/", size)})
		runtime.ReadMemStats(&after)
		if err != nil || kept.Size != int64(44+samples) {
			t.Fatalf("Keep: %+v, %v; want %d bytes", kept, err, 44+samples)
		}
		// All that was allocated, also what was freed again, and by the server.
		got := after.TotalAlloc - before.TotalAlloc
		t.Logf("%d MiB: %.1f MiB allocated in all, %.1f MiB more from the system", size, float64(got)/(1<<20), float64(after.Sys-before.Sys)/(1<<20))
		// Three parts, and what each request needs to be made.
		if limit := uint64(20<<20 + samples/64); got > limit {
			t.Errorf("%d bytes were allocated for a file of %d MiB, want at most %d", got, size, limit)
		}
		if err := v.songs(t, store).Remove(t.Context(), "kept/ses_1/"+fmt.Sprint(size)+".wav"); err != nil {
			t.Fatal(err)
		}
	}
}
