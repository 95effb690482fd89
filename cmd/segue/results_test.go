package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/bulk"
)

// TestInputsKeepTheirOrder: what was left out stands where it stood on the command line.
func TestInputsKeepTheirOrder(t *testing.T) {
	for _, c := range []struct {
		items int
		left  []int
		want  []string
	}{
		{3, nil, []string{"item 0", "item 1", "item 2"}},
		{2, []int{0, 2}, []string{"left 0", "item 0", "left 2", "item 1"}},
		{1, []int{1, 2}, []string{"item 0", "left 1", "left 2"}},
		{0, []int{0, 1}, []string{"left 0", "left 1"}},
		// Items of a session that was added to come after all inputs.
		{3, []int{1}, []string{"item 0", "left 1", "item 1", "item 2"}},
		// What says that it stood beyond the end stands at the end.
		{1, []int{7}, []string{"item 0", "left 7"}},
	} {
		left := make([]reused, len(c.left))
		for n, index := range c.left {
			left[n].Index = index
		}
		var got []string
		inOrder(c.items, left, func(n int) { got = append(got, fmt.Sprintf("item %d", n)) },
			func(r *reused) { got = append(got, fmt.Sprintf("left %d", r.Index)) })
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%d items, %v left out (-want +got):\n%s", c.items, c.left, diff)
		}
	}
}

// TestSidecarsLeadNowhere: a sidecar is a file that anybody may have written, and what it
// names is copied from its archive or not at all.
func TestSidecarsLeadNowhere(t *testing.T) {
	for file, want := range map[string]string{
		"000-a.jpg": "june/ses_1/000-a.jpg", "../b.jpg": "june/b.jpg", "../../b.jpg": "b.jpg", "": "",
		"../../../etc/passwd": "", "../../../../../etc/passwd": "", "x/../../../../y": "",
		// It is below the archive, where there is no such file.
		"/etc/passwd": "june/ses_1/etc/passwd",
	} {
		if got := beneath("june/ses_1/000-a", file); got != want {
			t.Errorf("a sidecar that names %q leads to %q, want %q", file, got, want)
		}
	}
}

// TestNamesInAnArchive: where a lost file belongs.
func TestNamesInAnArchive(t *testing.T) {
	for _, c := range []struct {
		archive, file, want string
		ok                  bool
	}{
		{"/srv/music", "/srv/music/ses_1/000-a-1.mp3", "ses_1/000-a-1.mp3", true},
		{"file:///srv/my%20music", "/srv/my music/a.mp3", "a.mp3", true},
		{"/srv/music", "/srv/music2/a.mp3", "", false},
		{"/srv/music", "s3://bucket/music/a.mp3", "", false},
		{"s3://bucket/music", "s3://bucket/music/ses_1/a.mp3", "ses_1/a.mp3", true},
		{"s3://bucket", "s3://bucket/ses_1/a.mp3", "ses_1/a.mp3", true},
		{"s3://bucket/music", "s3://bucket/musical/a.mp3", "", false},
		{"s3://bucket/music", "s3://other/music/a.mp3", "", false},
		{"s3://bucket/music", "/srv/music/a.mp3", "", false},
	} {
		if got, ok := belowArchive(c.archive, c.file); ok != c.ok || (ok && got != c.want) {
			t.Errorf("belowArchive(%s, %s) = %q, %v; want %q, %v", c.archive, c.file, got, ok, c.want, c.ok)
		}
	}
}

// TestSheetsComputeNothing: a file may be called like a formula.
func TestSheetsComputeNothing(t *testing.T) {
	for text, want := range map[string]string{"=1+1": "'=1+1", "+a": "'+a", "-a": "'-a", "@a": "'@a", "\ta": "'\ta", "a=b": "a=b", "": "", "12": "12"} {
		if got := unformula(text); got != want {
			t.Errorf("unformula(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestRowsOfResults: credits are counted once, and what was left out costs nothing again.
func TestRowsOfResults(t *testing.T) {
	beside := besideOf([]writtenFile{
		{File: "out/a-1.jpg", Kind: writtenCover, ItemID: "ses_1.0", AudioID: "x"}, {File: "out/a.json", Kind: writtenSidecar, ItemID: "ses_1.0"},
	})
	it := &enqueue.ItemStatus{
		ItemID: "ses_1.0", Source: "a.mp3", SHA256: "ff", Status: "succeeded", ClipID: "c", Credits: 12,
		Tracks: []enqueue.Track{{AudioID: "x", File: "out/a-1.mp3", DurationSeconds: 1.5}, {AudioID: "y", File: "out/a-2.mp3"}},
	}
	want := [][]string{
		{"0", "a.mp3", "ff", "succeeded", "c", "x", "", "1.5", "out/a-1.mp3", "12", "", "", "ses_1.0", "out/a-1.jpg", "out/a.json", ""},
		{"0", "a.mp3", "ff", "succeeded", "c", "y", "", "0", "out/a-2.mp3", "0", "", "", "ses_1.0", "", "out/a.json", ""},
	}
	if diff := cmp.Diff(want, itemRows(it, beside)); diff != "" {
		t.Errorf("rows of an item (-want +got):\n%s", diff)
	}
	want = [][]string{{"", "b.mp3", "ee", "duplicate", "", "", "", "", "", "0", "", "the same as a.mp3", "", "", "", ""}}
	if diff := cmp.Diff(want, reusedRows(&reused{Source: "b.mp3", SHA256: "ee", Outcome: bulk.Twice, SameAs: "a.mp3"}, beside)); diff != "" {
		t.Errorf("rows of a duplicate (-want +got):\n%s", diff)
	}
}

// TestFate: past the provider's time, one is not told to wait for it.
func TestFate(t *testing.T) {
	f := lostFile{Until: time.Date(2026, 12, 6, 20, 12, 0, 0, time.UTC)}
	if got, want := f.fate(f.Until.Add(-time.Second)), "the provider has it until 2026-12-06 20:12 UTC"; got != want {
		t.Errorf("before: %q, want %q", got, want)
	}
	if got, want := f.fate(f.Until), "the provider has deleted it since 2026-12-06 20:12 UTC"; got != want {
		t.Errorf("then: %q, want %q", got, want)
	}
}
