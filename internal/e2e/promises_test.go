//go:build unix

package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/e2e/proctest"
	"github.com/segue-audio/segue/internal/simulator"
)

// fulfilled holds a session of which every item succeeded to what the provider's
// own books say: each song was paid for once and only once (P1), nothing that was
// paid for was lost (P2), and the audioIds are those of the songs, in their order
// (P3), from one account (P4).
func fulfilled(t testing.TB, p *provider, songs []song, st *status) {
	t.Helper()
	if want := len(songs); st.Status != "succeeded" || st.Counts.Total != want || st.Counts.Succeeded != want || len(st.Items) != want {
		t.Fatalf("status %q, counts %+v, %d items; want all of %d succeeded", st.Status, st.Counts, len(st.Items), want)
	}
	// The verdict first: asking about operations and tracks is conduct, too.
	judged(t, p.Verdict(), 2*len(songs))
	book := p.Book()
	if len(book) != 2*len(songs) {
		t.Errorf("%d different jobs were charged, want %d", len(book), 2*len(songs))
	}
	ids := make([]string, 0, 2*len(songs))
	for n, s := range songs {
		tracks := ofSong(t, p, book, s, &st.Items[n])
		ids = append(ids, tracks...)
	}
	if diff := cmp.Diff(ids, st.AudioIDs); diff != "" {
		t.Errorf("audioIds in the order of the input (-provider +segue):\n%s", diff)
	}
	if want := float64(12 * len(songs)); st.CreditsSpent != want {
		t.Errorf("creditsSpent is %g, want %g", st.CreditsSpent, want)
	}
}

// judged holds the provider's verdict to what a careful customer leaves behind.
func judged(t testing.TB, v simulator.Verdict, charges int) {
	t.Helper()
	if v.Charges != charges || v.ExtraCharges != 0 || v.Resubmissions != 0 || v.WrongAccount != 0 || !v.Clean {
		t.Errorf("the provider's verdict is %+v; want %d charges, none extra, no wrong account, clean", v, charges)
	}
}

// ofSong compares one item with what the provider did with the song, and gives the
// ids of the song's tracks.
func ofSong(t testing.TB, p *provider, book map[job][]simulator.Charge, s song, it *item) []string {
	t.Helper()
	uploads, extends := book[job{SHA256: s.SHA256, Endpoint: "mountsea.item"}], book[job{SHA256: s.SHA256, Endpoint: "mountsea.generate"}]
	if len(uploads) != 1 || len(extends) != 1 {
		t.Errorf("%s was charged %d uploads and %d extensions, want 1 and 1", s.Path, len(uploads), len(extends))
		return nil
	}
	want := item{
		ItemID: it.ItemID, Index: it.Index, Source: s.Path, SHA256: s.SHA256, Status: "succeeded", Step: "fetch",
		ClipID:       p.Clips(uploads[0].OperationID)[0],
		OperationIDs: []string{uploads[0].OperationID, extends[0].OperationID},
		AudioIDs:     p.Clips(extends[0].OperationID),
		Tracks:       it.Tracks, Credits: 12,
	}
	if len(it.OperationIDs) == 1 {
		// The upload's answer was lost, and its clip was found on the provider's list:
		// that names the clip, and not the operation.
		want.OperationIDs = want.OperationIDs[1:]
	}
	if diff := cmp.Diff(want, *it); diff != "" {
		t.Errorf("%s (-provider +segue):\n%s", s.Path, diff)
	}
	return want.AudioIDs
}

// archived holds the files to what the provider serves, byte for byte, and the
// record beside them to the session.
func archived(t testing.TB, p *provider, dir string, st *status) {
	t.Helper()
	seen := map[string]bool{}
	for _, it := range st.Items {
		if len(it.Tracks) != 2 {
			t.Errorf("%s has %d tracks, want 2", it.Source, len(it.Tracks))
		}
		for _, track := range it.Tracks {
			got, err := os.ReadFile(track.File)
			if err != nil {
				t.Error(err)
				continue
			}
			if want := p.Track(track.AudioID); !bytes.Equal(got, want) {
				t.Errorf("%s has %d bytes and differs from the provider's %d", track.File, len(got), len(want))
			}
			if seen[track.File] || !strings.HasPrefix(track.File, dir+string(filepath.Separator)) {
				t.Errorf("%s: want a file of its own in %s", track.File, dir)
			}
			seen[track.File] = true
		}
	}
	recorded(t, dir, st)
}

// recorded holds session.json to the session.
func recorded(t testing.TB, dir string, st *status) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, st.SessionID, "session.json"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte(proctest.APIKey)) || bytes.Contains(text, []byte("/cdn/")) {
		t.Error("session.json holds the key or a result's URL, which do not belong into a file that is kept")
	}
	var got status
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("session.json: %v", err)
	}
	if got.Status != st.Status || got.Counts != st.Counts || !cmp.Equal(got.AudioIDs, st.AudioIDs) {
		t.Errorf("session.json says %q, %+v, %d audioIds; want the session's %q, %+v, %d",
			got.Status, got.Counts, len(got.AudioIDs), st.Status, st.Counts, len(st.AudioIDs))
	}
}
