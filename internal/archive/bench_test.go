package archive_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/segue-audio/segue/internal/archive"
)

// BenchmarkKeep is a download with everything: checks, digest, durability.
// BenchmarkCopy is the least that a program can do to get the same file.
func BenchmarkKeep(b *testing.B) {
	for _, seconds := range []float64{600, 8000} { // 4.8 MB, a song; 64 MB
		b.Run(fmt.Sprintf("%.1fMB", seconds*0.008), func(b *testing.B) {
			content := wav(seconds, 1)
			server := serve(b, whole(content, `"v1"`))
			bench := open(b, b.TempDir())
			b.SetBytes(int64(len(content)))
			for n := 0; b.Loop(); n++ {
				kept, err := bench.Keep(b.Context(), archive.Want{URL: server.URL, Name: fmt.Sprintf("ses_1/%d", n)})
				if err != nil {
					b.Fatal(err)
				}
				if err := os.Remove(kept.File); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCopy(b *testing.B) {
	for _, durable := range []bool{false, true} {
		for _, seconds := range []float64{600, 8000} {
			b.Run(fmt.Sprintf("durable=%t/%.1fMB", durable, seconds*0.008), func(b *testing.B) {
				content := wav(seconds, 1)
				server := serve(b, whole(content, `"v1"`))
				b.SetBytes(int64(len(content)))
				path := filepath.Join(b.TempDir(), "one.wav")
				for b.Loop() {
					if err := copyTo(b, server.URL, path, durable); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func copyTo(b *testing.B, url, path string, durable bool) error {
	b.Helper()
	request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return errors.Join(err, response.Body.Close())
	}
	_, err = io.Copy(file, response.Body)
	if durable {
		err = errors.Join(err, file.Sync())
	}
	return errors.Join(err, file.Close(), response.Body.Close(), os.Remove(path))
}
