package main

import (
	"context"
	"os"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/segue-audio/segue/internal/bucket"
)

// put stores a file in a bucket that a script was given.
func (s *store) put(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 3 && s != nil, "put FILE BUCKET NAME")
	file, err := os.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer func() { _ = file.Close() }() // read only
	to, err := bucket.Open(args[1], s.server.Options())
	ts.Check(err)
	_, err = to.Put(context.Background(), args[2], file, -1, bucket.PutOptions{})
	ts.Check(err)
}

// drop removes a file from a bucket that a script was given.
func (s *store) drop(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 2 && s != nil, "drop BUCKET NAME")
	from, err := bucket.Open(args[0], s.server.Options())
	ts.Check(err)
	ts.Check(from.Remove(context.Background(), args[1]))
}
