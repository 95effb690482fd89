package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// web is somebody else's server of songs. The first part of a path says how it is:
//
//	/tagged/    ranges, and a strong ETag
//	/weak/   ranges, and a weak ETag
//	/plain/  no ranges, no ETag
//	/moved/  a redirect to /tagged/
type web struct {
	dir string
	// whole counts the songs that were sent from beginning to end, and not by ranges.
	whole atomic.Int64
}

// ServeHTTP serves a song.
func (w *web) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	kind, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if kind == "moved" {
		http.Redirect(out, r, "/tagged/"+name+"?"+r.URL.RawQuery, http.StatusFound)
		return
	}
	song, err := os.ReadFile(filepath.Join(w.dir, filepath.FromSlash(path.Clean("/"+name))))
	if err != nil {
		http.NotFound(out, r)
		return
	}
	tag := fmt.Sprintf(`"%x"`, sha256.Sum256(song))
	switch kind {
	case "tagged":
		out.Header().Set("ETag", tag)
	case "weak":
		out.Header().Set("ETag", "W/"+tag)
	case "plain":
		r.Header.Del("Range")
	}
	if r.Header.Get("Range") == "" && r.Method == http.MethodGet {
		w.whole.Add(1)
	}
	http.ServeContent(out, r, name, time.Time{}, bytes.NewReader(song))
}

// command holds the server to how many songs it has sent since the last time.
func (w *web) command(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 1, "web N")
	number, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	if sent := w.whole.Swap(0); sent != number {
		ts.Fatalf("%d songs were sent from beginning to end, want %d", sent, number)
	}
}
