package archive_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/segue-audio/segue/internal/archive"
)

// TestFolders: the folder of a session, what names say below it, and where the session
// itself is written down.
func TestFolders(t *testing.T) {
	for _, c := range []struct {
		layout, folder, below, record string
		own                           bool
	}{
		{archive.DefaultLayout, id, "007-Morning Tape-2", id + "/session.json", true},
		{"", id, "007-Morning Tape-2", id + "/session.json", true},
		{"{name}/{session}/{index}/{stem}-{n}.{ext}", "June batch/" + id, "007/Morning Tape-2", "June batch/" + id + "/session.json", true},
		{"music/{date} {session}/{index}-{n}.{ext}", "music/2026-11-22 " + id, "007-2", "music/2026-11-22 " + id + "/session.json", true},
		{"{provider}/{account}/{name}/{audio_id}.{ext}", "kie/main/June batch", "8f1c", "kie/main/June batch/session-" + id + ".json", false},
		{"all/{index}-{n}-{audio_id}.{ext}", "all", "007-2-8f1c", "all/session-" + id + ".json", false},
		// The model may be another one for each item.
		{"{provider}/{model}/{session}/{index}-{n}.{ext}", "kie", "V5/" + id + "/007-2", "kie/session-" + id + ".json", false},
		{"{index}/{session}/{n}.{ext}", "", "007/" + id + "/2", id + "/session.json", false},
		{"{audio_id}.{ext}", "", "8f1c", id + "/session.json", false},
	} {
		layout := archive.Layout{}
		if c.layout != "" {
			var err error
			if layout, err = archive.ParseLayout(c.layout); err != nil {
				t.Fatal(err)
			}
		}
		if folder, own := layout.Folder(fields()); folder != c.folder || own != c.own {
			t.Errorf("%s: Folder = %q, own %v; want %q, %v", layout, folder, own, c.folder, c.own)
		}
		if got := layout.Below(layout.Track(fields())); got != c.below {
			t.Errorf("%s: Below = %q, want %q", layout, got, c.below)
		}
		if got := layout.Record(fields()); got != c.record {
			t.Errorf("%s: Record = %q, want %q", layout, got, c.record)
		}
	}
}

// TestRecordsOfSessionsDiffer: two sessions are never written down under one name,
// whatever they are called.
func TestRecordsOfSessionsDiffer(t *testing.T) {
	const other = "ses_019aa1b2-3c4d-7e5f-8a9b-0c1d2e3f4a5c"
	for _, text := range []string{
		archive.DefaultLayout, "{name}/{index}-{n}.{ext}", "{name}{session}/{index}-{n}.{ext}", "{session}{name}/{index}-{n}.{ext}",
		"{audio_id}.{ext}", "{date}/{audio_id}.{ext}",
	} {
		layout, err := archive.ParseLayout(text)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]string{}
		for _, session := range []string{id, other} {
			for _, name := range append(hostile, id, other, "session", "session-"+id) {
				f := archive.Fields{Session: session, Name: name, Provider: name, Account: name}
				record := layout.Record(f)
				if owner := seen[record]; owner != "" && owner != session {
					t.Errorf("%s: %s and %s are both written down as %q", text, owner, session, record)
				}
				seen[record] = session
				if !strings.HasSuffix(record, ".json") || !filepath.IsLocal(record) {
					t.Errorf("%s: the record of %q is %q", text, name, record)
				}
			}
		}
	}
}
