package s3

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/segue-audio/segue/internal/provider/rest"
)

// binary is where `make deps` puts versitygw.
const binary = "../../../bin/versitygw"

const (
	bucket = "raw-uploads"
	// host is the store's name in tickets; its connections end at a socket.
	host   = "s3.segue.test"
	region = "us-east-1"
	access = "segue-test"
	secret = "c2VndWUtdGVzdC1zZWNyZXQ"
)

// store is a running versitygw with one bucket.
type store struct {
	transport *http.Transport
	signer    *minio.Client
}

// gateway starts versitygw in front of a folder, and ends it with the test. It
// listens on a socket: it takes port 0, but does not tell which one that became.
// Where it is not built the test is skipped, except in CI, where it must be.
func gateway(t *testing.T) *store {
	t.Helper()
	if _, err := os.Stat(filepath.FromSlash(binary)); err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("CI must have versitygw: %v", err)
	} else if err != nil {
		t.Skipf("versitygw is not built (make deps): %v", err)
	}
	// A socket's path is at most 107 bytes long; the test's own directory may be longer.
	dir, err := os.MkdirTemp("", "segue")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	for _, folder := range []string{"objects", "about"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(dir, "s")
	start(t, "--port", socket, "--access", access, "--secret", secret, "--region", region,
		"posix", "--sidecar", filepath.Join(dir, "about"), filepath.Join(dir, "objects"))
	s := &store{transport: dialing(t, socket)}
	s.signer = s.client(t, secret)
	s.await(t)
	return s
}

// start runs versitygw until the test ends, and shows what it said if that fails.
func start(t *testing.T, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, args...)
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

// dialing is the drivers' own transport, but for where the store's name leads.
func dialing(t *testing.T, socket string) *http.Transport {
	t.Helper()
	transport := rest.Transport()
	elsewhere := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasPrefix(address, host+":") {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}
		return elsewhere(ctx, network, address)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// client is minio-go with the store's access key and some secret.
func (s *store) client(t *testing.T, secret string) *minio.Client {
	t.Helper()
	c, err := minio.New(host, &minio.Options{
		Creds: credentials.NewStaticV4(access, secret, ""), Region: region, Transport: s.transport, BucketLookup: minio.BucketLookupPath,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// await makes the bucket, as soon as the store answers.
func (s *store) await(t *testing.T) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for {
		err := s.signer.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{Region: region})
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
