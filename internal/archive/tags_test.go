package archive_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/audio"
	"github.com/segue-audio/segue/internal/bucket/buckettest"
)

var tags = archive.Tags{Title: "Für Elise – 月光", Comment: "segue ses_1.0 audio-7"}

// probeAudio is what the program examines tracks with.
func probeAudio(ctx context.Context, path string) (archive.Probed, error) {
	info, err := audio.ProbeFile(ctx, path)
	if err != nil {
		return archive.Probed{}, err
	}
	return archive.Probed{Format: string(info.Format), Duration: info.Duration, Size: info.Size, SHA256: info.SHA256, Problem: info.Problem}, nil
}

func realProbe(o *archive.Options) { o.Probe = probeAudio }

// encoded reads one of the files that encoders made.
func encoded(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "audio", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// keepTagged keeps a file and returns what the archive has.
func keepTagged(t *testing.T, content []byte, want archive.Tags) (kept *archive.Kept, filed []byte) {
	t.Helper()
	b := open(t, t.TempDir(), realProbe)
	w := archive.Want{URL: serve(t, whole(content, `"v1"`)).url(), Name: name, Tags: want}
	kept, err := b.Keep(t.Context(), w)
	if err != nil {
		t.Fatalf("Keep: %v", err)
	}
	again, err := b.Keep(t.Context(), w)
	if err != nil || *again != *kept {
		t.Errorf("Keep again: %+v, %v; want %+v", again, err, kept)
	}
	if filed, err = os.ReadFile(kept.File); err != nil {
		t.Fatal(err)
	}
	if kept.Size != int64(len(filed)) || kept.SHA256 != digestOf(filed) {
		t.Errorf("Keep said %+v of a file of %d bytes with the digest %s", kept, len(filed), digestOf(filed))
	}
	if visible, parts := files(t, b.dir); len(visible) != 1 || len(parts) > 0 {
		t.Errorf("files %q and leftovers %q", visible, parts)
	}
	return kept, filed
}

// sound gives what follows the tag at the beginning of an mp3, and what follows
// the metadata blocks of a FLAC file: read by other code than what wrote it.
func sound(t testing.TB, content []byte) []byte {
	t.Helper()
	switch {
	case bytes.HasPrefix(content, []byte("ID3")):
		length := 0
		for _, b := range content[6:10] {
			length = length<<7 | int(b)
		}
		return content[10+length:]
	case bytes.HasPrefix(content, []byte("fLaC")):
		at := 4
		for {
			last := content[at] >= 0x80
			at += 4 + int(binary.BigEndian.Uint32(append([]byte{0}, content[at+1:at+4]...)))
			if last {
				return content[at:]
			}
		}
	}
	return content
}

func TestTagsLeaveTheSound(t *testing.T) {
	for _, file := range []string{
		"cbr_bare.mp3", "layer2.mp3", "mpeg25.mp3", "picture.mp3", "vbr_bare.mp3", "vbr_lame.mp3", "vbr_protected.mp3", "piped.flac", "plain.flac",
	} {
		t.Run(file, func(t *testing.T) {
			content := encoded(t, file)
			before, err := audio.ProbeFile(t.Context(), filepath.Join("..", "audio", "testdata", file))
			if err != nil {
				t.Fatal(err)
			}
			kept, filed := keepTagged(t, content, tags)
			if !bytes.Equal(sound(t, filed), sound(t, content)) {
				t.Error("the sound is not the same bytes")
			}
			if bytes.Equal(filed, content) || kept.Duration != before.Duration.Seconds() {
				t.Errorf("%g s, want %g s and a tag", kept.Duration, before.Duration.Seconds())
			}
			checkByOthers(t, kept.File)
		})
	}
}

// checkByOthers asks ffprobe for the tags, and flac whether the file is sound.
func checkByOthers(t *testing.T, file string) {
	t.Helper()
	var read struct {
		Format struct {
			Tags map[string]string `json:"tags"`
		} `json:"format"`
	}
	said := tool(t, "ffprobe", "-v", "error", "-of", "json", "-show_format", file)
	if err := json.Unmarshal(said, &read); err != nil {
		t.Fatalf("ffprobe said %s: %v", said, err)
	}
	got := map[string]string{}
	for name, value := range read.Format.Tags {
		got[strings.ToLower(name)] = value
	}
	if got["title"] != tags.Title || got["comment"] != tags.Comment {
		t.Errorf("ffprobe reads %q, want the title %q and the comment %q", got, tags.Title, tags.Comment)
	}
	tool(t, "ffmpeg", "-v", "error", "-xerror", "-i", file, "-f", "null", "-")
	if strings.HasSuffix(file, ".flac") {
		tool(t, "flac", "--test", "--silent", file)
	}
}

// tool runs a program that tests may need; where it is missing, the rest of the
// test is skipped, except in CI.
func tool(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") != "" {
		t.Fatalf("CI must have %s", name)
	}
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	said, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", name, err, said)
	}
	return said
}

// Other tags that were there stay.
func TestTagsKeepOthers(t *testing.T) {
	for _, c := range []struct{ file, kept string }{
		{"picture.mp3", "APIC"}, {"plain.flac", "reference libFLAC"},
	} {
		content := encoded(t, c.file)
		_, filed := keepTagged(t, content, tags)
		if !bytes.Contains(content, []byte(c.kept)) || !bytes.Contains(filed, []byte(c.kept)) {
			t.Errorf("%s: %q was not kept", c.file, c.kept)
		}
		if len(filed) > len(content)+300 {
			t.Errorf("%s grew from %d to %d bytes", c.file, len(content), len(filed))
		}
	}
}

// What was tagged can be tagged again: nothing piles up.
func TestTagsTwice(t *testing.T) {
	for _, file := range []string{"cbr_lame.mp3", "picture.mp3", "plain.flac"} {
		_, once := keepTagged(t, encoded(t, file), tags)
		_, twice := keepTagged(t, once, tags)
		if !bytes.Equal(once, twice) {
			t.Errorf("%s: tagging what was tagged gives other bytes", file)
		}
		_, other := keepTagged(t, once, archive.Tags{Title: "Another"})
		if bytes.Contains(other, []byte("Elise")) || !bytes.Contains(other, []byte("Another")) || !bytes.Contains(other, []byte(tags.Comment)) {
			t.Errorf("%s: the title was not replaced alone", file)
		}
	}
}

func TestTracksThatAreNotTagged(t *testing.T) {
	mp3 := encoded(t, "cbr_bare.mp3")
	withID3 := func(tag string) []byte { return append([]byte(tag), mp3...) }
	for _, c := range []struct {
		name    string
		content []byte
		tags    archive.Tags
	}{
		{"nothing asked for", mp3, archive.Tags{}},
		{"nothing but control characters", mp3, archive.Tags{Title: "\x00\x1b", Comment: "\u0085"}},
		{"wav", wav(3, 1), tags},
		{"ogg", encoded(t, "vorbis.ogg"), tags},
		{"m4a", encoded(t, "aac_back.m4a"), tags},
		{"flac behind ID3, which no FLAC file should have", encoded(t, "tagged.flac"), tags},
		{"version 2.2", withID3("ID3\x02\x00\x00\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00"), tags},
		{"unsynchronised", withID3("ID3\x04\x00\x80\x00\x00\x00\x00"), tags},
		{"extended", withID3("ID3\x03\x00\x40\x00\x00\x00\x0a\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00"), tags},
		{"frames that are none", withID3("ID3\x03\x00\x00\x00\x00\x00\x0babcd\x00\x00\x00\x01\x00\x00x"), tags},
		{"a frame past its tag", withID3("ID3\x03\x00\x00\x00\x00\x00\x0bTPE1\x00\x00\x00\x09\x00\x00x"), tags},
	} {
		kept, filed := keepTagged(t, c.content, c.tags)
		if !bytes.Equal(filed, c.content) {
			t.Errorf("%s: %s was changed", c.name, kept.Format)
		}
	}
}

func TestTagsInABucket(t *testing.T) {
	content := encoded(t, "cbr_lame.mp3")
	v := openVault(t, buckettest.Start(t), t.TempDir(), realProbe)
	w := archive.Want{URL: serve(t, whole(content, `"v1"`)).url(), Name: name, Tags: tags}
	for range 2 {
		kept, err := v.Keep(t.Context(), w)
		if err != nil || kept.File != "s3://songs/kept/"+name+".mp3" {
			t.Fatalf("Keep: %+v, %v", kept, err)
		}
		filed, err := os.ReadFile(filepath.Join(v.objects, name+".mp3"))
		if err != nil || kept.SHA256 != digestOf(filed) || !bytes.Equal(sound(t, filed), sound(t, content)) || bytes.Equal(filed, content) {
			t.Errorf("the bucket holds %d bytes, %v; want the track with its tag", len(filed), err)
		}
	}
	v.checkObjects(t, name+".mp3")
}

// A worker that dies beside its copy leaves nothing that could be mistaken for the
// track, and its successor ends with the same bytes.
func TestDiedWhileTagging(t *testing.T) {
	content := encoded(t, "cbr_lame.mp3")
	_, want := keepTagged(t, content, tags)
	server := serve(t, whole(content, `"v1"`))
	b := open(t, t.TempDir(), realProbe)
	w := archive.Want{URL: server.url(), Name: name, Key: "audio-1"}
	if _, err := b.Keep(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(b.dir, name+".mp3")
	part := filepath.Join(b.dir, ".segue", "parts", name+".1.part")
	// As if it had died: the whole part, and a copy that has the track's name too.
	for _, err := range []error{
		os.WriteFile(part, content, 0o600), os.WriteFile(part+".json", []byte(strings.ReplaceAll(complete, "16044", strconv.Itoa(len(content)))), 0o600),
		os.Link(kept, part+".tagged"), os.Remove(filepath.Join(b.dir, ".segue", "tracks", name+".json")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	w.Tags = tags
	again, err := b.Keep(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(kept); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the track that was there was written through its second name (%v)", err)
	}
	if got, err := os.ReadFile(again.File); err != nil || !bytes.Equal(got, want) || again.File == kept {
		t.Errorf("%s holds %d bytes, %v; want the %d of the tagged track", again.File, len(got), err, len(want))
	}
	if got := server.ranges(); len(got) != 1 {
		t.Errorf("%d requests, want one: everything was there", len(got))
	}
	if _, parts := files(t, b.dir); len(parts) > 0 {
		t.Errorf("leftovers %q", parts)
	}
}

func TestLongTags(t *testing.T) {
	long := archive.Tags{Title: strings.Repeat("é", 5000), Comment: strings.Repeat("c", 9000) + "\xff"}
	_, filed := keepTagged(t, encoded(t, "cbr_bare.mp3"), long)
	if got := bytes.Count(filed[:20000], []byte("é")); got != 1000 {
		t.Errorf("the title has %d characters, want 1000", got)
	}
	if diff := cmp.Diff(sound(t, encoded(t, "cbr_bare.mp3")), sound(t, filed)); diff != "" {
		t.Error("the sound is not the same bytes")
	}
}
