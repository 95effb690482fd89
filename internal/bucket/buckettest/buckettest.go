// Package buckettest gives tests an S3 server that nobody here wrote: versitygw,
// which checks every signature, digest and condition.
package buckettest

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/segue-audio/segue/internal/bucket"
)

// The server's only user, and where it says that it is.
const (
	AccessKey = "segue-test"
	SecretKey = "c2VndWUtdGVzdC1zZWNyZXQ" //nolint:gosec // G101: it opens a server that lives as long as a test
	Region    = "us-east-1"
)

// Server is a running versitygw.
type Server struct {
	// Endpoint is its address, http://127.0.0.1 and a port.
	Endpoint string
	// Root is the directory that holds a directory for each bucket, with the
	// objects as files.
	Root string

	transport *http.Transport
}

// Start runs a server until the test ends. args are further flags of versitygw,
// such as --readonly. Where it is not built the test is skipped, except in CI,
// where it must be.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return StartAt(t, t.TempDir(), args...)
}

// StartAt is Start on a directory that may hold buckets already.
func StartAt(t testing.TB, root string, args ...string) *Server {
	t.Helper()
	program := binary(t)
	// A socket's path is at most 107 bytes long; the test's own directory may be longer.
	private, err := os.MkdirTemp("", "segue")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(private); err != nil {
			t.Error(err)
		}
	})
	about := filepath.Join(private, "about")
	if err := os.Mkdir(about, 0o700); err != nil {
		t.Fatal(err)
	}
	// It takes port 0, but does not tell which one that became; so it listens on a
	// socket, and connections are handed on.
	socket := filepath.Join(private, "s")
	all := append([]string{"--port", socket, "--access", AccessKey, "--secret", SecretKey, "--region", Region, "--keep-alive"}, args...)
	run(t, program, append(all, "posix", "--sidecar", about, root)...)
	s := &Server{Root: root, Endpoint: "http://" + forward(t, socket), transport: &http.Transport{}}
	t.Cleanup(s.transport.CloseIdleConnections)
	s.await(t)
	return s
}

// Options opens buckets of this server as its user.
func (s *Server) Options() bucket.Options {
	return bucket.Options{Endpoint: s.Endpoint, Region: Region, AccessKey: AccessKey, SecretKey: SecretKey, HTTP: s.transport}
}

// Bucket makes a bucket and opens it.
func (s *Server) Bucket(t testing.TB, name string) *bucket.Bucket {
	t.Helper()
	if err := s.client(t).MakeBucket(context.Background(), name, minio.MakeBucketOptions{Region: Region}); err != nil {
		t.Fatalf("a bucket %s: %v", name, err)
	}
	opened, err := bucket.Open(name, s.Options())
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// Uploads lists the names of uploads in parts that were begun and neither
// finished nor given up.
func (s *Server) Uploads(t testing.TB, name string) []string {
	t.Helper()
	var names []string
	for found := range s.client(t).ListIncompleteUploads(context.Background(), name, "", true) {
		if found.Err != nil {
			t.Fatal(found.Err)
		}
		names = append(names, found.Key)
	}
	return names
}

func (s *Server) client(t testing.TB) *minio.Client {
	t.Helper()
	client, err := minio.New(s.Endpoint[len("http://"):], &minio.Options{
		Creds: credentials.NewStaticV4(AccessKey, SecretKey, ""), Region: Region, MaxRetries: 1, Transport: s.transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// binary finds what `make deps` builds, from wherever in the module a test runs.
func binary(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		path := filepath.Join(dir, "bin", "versitygw")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("bin/versitygw is not built, and CI must have it (make deps)")
	}
	t.Skip("bin/versitygw is not built (make deps)")
	return ""
}

// run starts a program that ends with the test, and shows what it said when that
// fails.
func run(t testing.TB, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = 10 * time.Second
	said := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		var exit *exec.ExitError
		if err := cmd.Wait(); err != nil && !errors.As(err, &exit) && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("versitygw said:\n%s", said)
		}
	})
}

// await returns when the server answers.
func (s *Server) await(t testing.TB) {
	t.Helper()
	client := s.client(t)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for {
		_, err := client.ListBuckets(context.Background())
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("versitygw did not answer within 30 s: %v", err)
		}
	}
}
