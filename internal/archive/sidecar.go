package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// SidecarVersion is the version of what KeepSidecar writes. Fields are only ever
// added.
const SidecarVersion = 1

// Sidecar is all that is known of an item's results, to lie beside them. It must
// be given names and ids only: an account's name, never its key. As a second line,
// whatever in it looks like a URL is cut down to what identifies the resource:
// user, query and fragment are where signatures are.
type Sidecar struct {
	SessionID   string `json:"sessionId"`
	SessionName string `json:"sessionName,omitempty"`
	ItemID      string `json:"itemId"`
	Index       int    `json:"index"`

	Provider string `json:"provider"`
	// Account is the account's name in the configuration.
	Account string `json:"account"`
	Model   string `json:"model,omitempty"`
	Title   string `json:"title,omitempty"`
	Prompt  string `json:"prompt,omitempty"`
	Style   string `json:"style,omitempty"`
	// Parameters are all others that were sent, by the names that users know.
	Parameters map[string]any `json:"parameters,omitempty"`

	ClipID       string   `json:"clipId,omitempty"`
	OperationIDs []string `json:"operationIds,omitempty"`
	// Credits is what the item cost.
	Credits float64 `json:"credits"`

	Source SidecarSource  `json:"source"`
	Tracks []SidecarTrack `json:"tracks"`

	// SubmittedAt, FinishedAt and ArchivedAt are when the item was accepted, when
	// the provider had finished, and when its tracks were here; zero ones are left
	// out.
	SubmittedAt time.Time `json:"submittedAt,omitzero"`
	FinishedAt  time.Time `json:"finishedAt,omitzero"`
	ArchivedAt  time.Time `json:"archivedAt,omitzero"`
}

// SidecarSource is where the item's audio came from.
type SidecarSource struct {
	// Name is the source as it was named.
	Name            string  `json:"name"`
	SHA256          string  `json:"sha256,omitempty"`
	Size            int64   `json:"size,omitempty"`
	Format          string  `json:"format,omitempty"`
	DurationSeconds float64 `json:"durationSeconds,omitempty"`
	// File is the copy that was kept, relative to the sidecar; empty without one.
	File string `json:"file,omitempty"`
}

// SidecarTrack is one archived track.
type SidecarTrack struct {
	AudioID string `json:"audioId"`
	Title   string `json:"title,omitempty"`
	// File and Cover are relative to the sidecar.
	File            string  `json:"file"`
	Cover           string  `json:"cover,omitempty"`
	Format          string  `json:"format,omitempty"`
	Size            int64   `json:"size"`
	SHA256          string  `json:"sha256"`
	DurationSeconds float64 `json:"durationSeconds"`
}

// KeepSidecar writes an item's sidecar to name.json, in place of an earlier one.
// The same content is the same bytes. Errors are those of Archive.Put.
func KeepSidecar(ctx context.Context, a Archive, name string, s Sidecar) error {
	content, err := s.Encode()
	if err != nil {
		return err
	}
	return a.Put(ctx, name+".json", bytes.NewReader(content))
}

// Encode gives what KeepSidecar writes: indented JSON with the version first and
// without secrets. Parameters that are no JSON are invalid.
func (s Sidecar) Encode() ([]byte, error) {
	var raw bytes.Buffer
	encoder := json.NewEncoder(&raw)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	s.Source.Name = bareSource(s.Source.Name)
	if s.Tracks == nil {
		s.Tracks = []SidecarTrack{}
	}
	versioned := struct {
		Version int `json:"version"`
		Sidecar
	}{SidecarVersion, s}
	if err := encoder.Encode(versioned); err != nil {
		return nil, failed(fault.Invalid, "archive.Sidecar.Encode", fmt.Errorf("the item's parameters are no JSON: %w", err))
	}
	return webAddress.ReplaceAllFunc(raw.Bytes(), bareAddress), nil
}

// webAddress finds URLs within JSON. A quote or a backslash ends a string's text.
var webAddress = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://[^\s"\\<>]+`)

// bareAddress takes from a URL what may be a secret. In the names of files and
// objects ? and # are characters as others are.
func bareAddress(address []byte) []byte {
	scheme, rest, _ := bytes.Cut(address, []byte("://"))
	if end := bytes.IndexAny(rest, "?#"); end >= 0 && isWeb(string(scheme)) {
		rest = rest[:end]
	}
	host, path, hasPath := bytes.Cut(rest, []byte("/"))
	bare := append(bytes.Clone(scheme), "://"...)
	bare = append(bare, host[bytes.LastIndexByte(host, '@')+1:]...)
	if hasPath {
		bare = append(append(bare, '/'), path...)
	}
	return bare
}

func isWeb(scheme string) bool {
	return strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")
}

// bareSource is bareAddress for a text that is a URL from its beginning to its
// end, also when there are blanks in it that should not be.
func bareSource(name string) string {
	scheme, _, ok := strings.Cut(name, "://")
	if end := strings.IndexAny(name, "?#"); ok && isWeb(scheme) && end >= 0 {
		return name[:end]
	}
	return name
}
