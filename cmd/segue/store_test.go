package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/segue-audio/segue/internal/bucket/buckettest"
)

// store is an S3 server that all scripts share.
type store struct {
	t      *testing.T
	server *buckettest.Server
	next   atomic.Int64
}

// newStore starts one; nil where it is not built, which CI does not allow.
func newStore(t *testing.T) *store {
	t.Helper()
	if _, err := os.Stat(filepath.Join("..", "..", "bin", "versitygw")); err != nil && os.Getenv("CI") == "" {
		return nil
	}
	return &store{t: t, server: buckettest.Start(t)}
}

// use gives a script a bucket of its own, and its settings.
func (s *store) use(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 1 && s != nil, "store VARIABLE")
	name := fmt.Sprintf("script-%d", s.next.Add(1))
	s.server.Bucket(s.t, name)
	for variable, value := range map[string]string{
		args[0]: name, args[0] + "_DIR": filepath.Join(s.server.Root, name),
		"SEGUE_S3_ENDPOINT": s.server.Endpoint, "SEGUE_S3_REGION": buckettest.Region,
		"SEGUE_S3_ACCESS_KEY": buckettest.AccessKey, "SEGUE_S3_SECRET_KEY": buckettest.SecretKey,
	} {
		ts.Setenv(variable, value)
	}
}
